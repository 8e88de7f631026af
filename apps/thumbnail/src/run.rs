//! The verb `run`: one film, one picture, one line, one exit code.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use chassis::{BoxError, Process};
use tracing::Instrument as _;

use crate::access::Access;
use crate::location::{Location, Object};
use crate::report::Report;
use crate::s3::Aws;
use crate::settings::Config;
use crate::source::Traffic;
use crate::worker::{Request, picture_apart};
use crate::{Error, Format, Kind, Picture, telemetry};

/// Makes the picture that arguments, settings and environment ask for.
pub(crate) async fn run(
    arguments: Vec<String>,
    config: Config,
    process: Process,
) -> Result<u8, BoxError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let began = Instant::now();
    let traffic = Arc::new(Traffic::default());
    let work = async {
        let job = Job::new(&arguments, config, variable)?;
        let result = job.work(traffic.clone()).await;
        Ok::<_, Error>((job, result))
    };
    let span = telemetry::run_span(variable);
    let done = tokio::select! {
        done = work.instrument(span) => done,
        () = process.shutdown.requested() => return Ok(STOPPED),
    };

    let report = Report::new(began, &traffic);
    let (report, outcome) = match done {
        Ok((job, result)) => {
            let report = report.between(job.input.to_string(), job.output.to_string());
            match result {
                Ok(picture) => (report.picture(picture.facts, picture.bytes.len()), Ok(())),
                Err(error) => (report.error(&error), Err(error)),
            }
        }
        Err(error) => (report.error(&error), Err(error)),
    };

    telemetry::count(outcome.as_ref().err().map(Error::kind), began.elapsed());
    // One write, so that no other line gets into it.
    std::io::stdout().write_all(format!("{}\n", report.line()).as_bytes())?;

    match outcome {
        Ok(()) => Ok(0),
        Err(error) => {
            tracing::error!(
                kind = error.kind().name(),
                error = error.chain(),
                "no picture"
            );
            Ok(error.kind().exit_code())
        }
    }
}

/// What is to be done, with every question answered.
struct Job {
    input: Location,
    output: Location,
    request: Request,
    access: Access,
}

impl Job {
    /// Arguments go before settings, and settings before the names of the task this one replaces.
    fn new(
        arguments: &[String],
        mut config: Config,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let [input, output] = match arguments {
            [] => [None, None],
            [input] => [Some(input.clone()), None],
            [input, output] => [Some(input.clone()), Some(output.clone())],
            _ => {
                return Err(Error::new(
                    Kind::Usage,
                    "too many arguments; write `run INPUT OUTPUT`",
                ));
            }
        };

        if let Some(option) = arguments.iter().find(|it| it.starts_with('-')) {
            let message = format!("`{option}` is not known; options are settings, see `describe`");
            return Err(Error::new(Kind::Usage, message));
        }

        let own = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
        if config.at.is_empty() {
            config.at = variable("POSITION_TIME_DURATION").unwrap_or_default();
        }

        let input = input
            .or_else(|| own(&config.input))
            .or_else(|| variable("INPUT_VIDEO_FILE_URL"))
            .ok_or_else(|| {
                Error::new(
                    Kind::Usage,
                    "there is no film; name one, or set THUMBNAIL_INPUT",
                )
            })?;

        let input: Location = input.parse()?;
        let output = match output.or_else(|| own(&config.output)) {
            Some(output) => output.parse()?,
            None => replaced_output(&variable)?.unwrap_or_else(|| beside(&input, &config)),
        };

        config.format = config.format.or_else(|| Format::of_name(&output.name()));
        let access = config.access(Aws::from_variables(variable))?;
        Ok(Self {
            input,
            output,
            request: config.request()?,
            access,
        })
    }

    async fn work(&self, traffic: Arc<Traffic>) -> Result<Picture, Error> {
        if let Location::Http(_) = self.output {
            return Err(Error::new(
                Kind::Usage,
                "a picture cannot be stored on a web server; use a file or s3://bucket/key",
            ));
        }

        if self.output.is(&self.input) {
            let message = format!(
                "`{}` is the film itself, which the picture would replace; name another output",
                self.output
            );
            return Err(Error::new(Kind::Usage, message));
        }

        let opening = self
            .access
            .open(&self.input, self.request.deadline, traffic);
        let source = tokio::time::timeout_at(self.request.deadline.into(), opening)
            .instrument(tracing::info_span!("stage", otel.name = "connect"))
            .await
            .map_err(|_| Error::new(Kind::Timeout, "the film could not be opened in time"))??;
        let picture = picture_apart(source, self.request, ()).await?;
        let storing = self.access.store(&self.output, &picture);

        storing
            .instrument(tracing::info_span!("stage", otel.name = "store"))
            .await?;
        Ok(picture)
    }
}

/// Whether this stands where the original task stood: that one had no verbs, and made one picture.
pub(crate) fn is_replacement(is_set: impl Fn(&str) -> bool) -> bool {
    ORIGINAL_NAMES.into_iter().any(is_set)
}

/// Where the original task stored its picture: `OUTPUT_S3_PATH` is a bucket and perhaps a folder.
fn replaced_output(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Location>, Error> {
    let Some(name) = variable("OUTPUT_THUMBS_FILE_NAME") else {
        return Ok(None);
    };
    let Some(path) = variable("OUTPUT_S3_PATH") else {
        return name.parse().map(Some);
    };
    let path = path.trim_start_matches("s3://").trim_matches('/');
    let location = format!("s3://{path}/{name}").parse()?;
    Ok(Some(location))
}

/// The film's name with the picture's extension, in this folder or in the film's bucket folder.
fn beside(input: &Location, config: &Config) -> Location {
    let extension = match config.format {
        Some(Format::Png) => "png",
        Some(Format::Jpeg) | None => "jpg",
    };

    let name = format!("{}.{extension}", input.stem());
    match input {
        Location::S3(Object { bucket, key }) => {
            let folder = key
                .rsplit_once('/')
                .map_or(String::new(), |(folder, _)| format!("{folder}/"));
            Location::S3(Object {
                bucket: bucket.clone(),
                key: format!("{folder}{name}"),
            })
        }
        Location::File(_) | Location::Http(_) => Location::File(name.into()),
    }
}

/// The variables that only the original task has.
const ORIGINAL_NAMES: [&str; 4] = [
    "INPUT_VIDEO_FILE_URL",
    "POSITION_TIME_DURATION",
    "OUTPUT_S3_PATH",
    "OUTPUT_THUMBS_FILE_NAME",
];
/// Ended by SIGTERM, as shells say it.
const STOPPED: u8 = 143;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    fn job(
        arguments: &[&str],
        config: Config,
        variables: &'static [(&'static str, &'static str)],
    ) -> Result<Job, Error> {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        Job::new(&arguments, config, |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const ORIGINAL: &[(&str, &str)] = &[
        (
            "INPUT_VIDEO_FILE_URL",
            "https://films.s3.amazonaws.com/a film.mp4",
        ),
        ("POSITION_TIME_DURATION", "00:00:05"),
        ("OUTPUT_S3_PATH", "pictures/small"),
        ("OUTPUT_THUMBS_FILE_NAME", "a.png"),
        ("AWS_REGION", "eu-west-1"),
    ];

    #[test]
    fn the_original_tasks_names_are_enough() {
        let job = job(&[], Config::default(), ORIGINAL).unwrap();
        assert_eq!(
            job.input.to_string(),
            "https://films.s3.amazonaws.com/a%20film.mp4"
        );
        assert_eq!(job.output.to_string(), "s3://pictures/small/a.png");
        assert_eq!(job.request.at, Position::After(5_000_000));
        assert_eq!(job.request.format, Format::Png);
    }

    #[test]
    fn the_original_tasks_names_say_that_a_run_is_meant() {
        assert!(is_replacement(|name| name == "INPUT_VIDEO_FILE_URL"));
        assert!(!is_replacement(|name| name == "AWS_REGION"));
    }

    #[test]
    fn arguments_go_before_settings_and_settings_before_the_original_names() {
        let config = Config {
            input: "b.mp4".to_owned(),
            output: "b.jpg".to_owned(),
            at: "50%".to_owned(),
            ..Config::default()
        };

        let from_settings = job(&[], config.clone(), ORIGINAL).unwrap();
        assert_eq!(from_settings.input.to_string(), "b.mp4");
        assert_eq!(from_settings.output.to_string(), "b.jpg");
        assert_eq!(from_settings.request.at, Position::Share(0.5));
        let from_arguments = job(&["c.mp4", "c.png"], config, ORIGINAL).unwrap();

        assert_eq!(from_arguments.input.to_string(), "c.mp4");
        assert_eq!(from_arguments.request.format, Format::Png);
    }

    #[test]
    fn the_picture_is_named_after_the_film() {
        let job = job(&["s3://films/2026/a.mp4"], Config::default(), &[]).unwrap();
        assert_eq!(job.output.to_string(), "s3://films/2026/a.jpg");
    }

    #[test]
    fn options_are_settings() {
        let error = job(&["--at", "a.mp4"], Config::default(), &[]).map(|_| ());
        assert_eq!(error.unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn a_film_is_needed() {
        let error = job(&[], Config::default(), &[]).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
    }
}
