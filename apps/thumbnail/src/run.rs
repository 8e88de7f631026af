//! The verb `run`: makes one picture, prints a report, and exits with a code.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use chassis::http::client::ProxySettings;
use chassis::{BoxError, Process};
use tracing::Instrument as _;

use crate::access::{Access, replaceable_file};
use crate::location::{Location, Object};
use crate::process::ProcessLimits;
use crate::report::Report;
use crate::s3::Aws;
use crate::settings::Config;
use crate::source::Traffic;
use crate::worker::{Request, picture_in_background};
use crate::{Error, ErrorKind, Format, Picture, telemetry};

/// Makes the picture specified by arguments, settings and environment.
pub(crate) async fn run(
    arguments: Vec<String>,
    config: Config,
    process: Process,
) -> Result<u8, BoxError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let start = Instant::now();
    let traffic = Arc::new(Traffic::default());
    let work = async {
        let job = Job::new(&arguments, config, process.proxy.clone(), variable)?;
        let result = job.execute(traffic.clone()).await;
        Ok::<_, Error>((job, result))
    };
    let span = telemetry::run_span(variable);
    let finished = tokio::select! {
        finished = work.instrument(span) => finished,
        () = process.shutdown.wait() => return Ok(EXIT_SIGTERM),
    };

    // Built after the work: it records the traffic and the time of the whole run.
    let report = Report::new(start, &traffic);
    let (report, outcome) = match finished {
        Ok((job, result)) => {
            let report = report.with_locations(job.input.to_string(), job.output.to_string());
            match result {
                Ok(picture) => (
                    report.with_picture(picture.info, picture.bytes.len()),
                    Ok(()),
                ),
                Err(error) => (report.with_error(&error), Err(error)),
            }
        }
        Err(error) => (report.with_error(&error), Err(error)),
    };

    telemetry::count(outcome.as_ref().err().map(Error::kind), start.elapsed());
    // A single write, so that other output cannot split the line.
    std::io::stdout().write_all(format!("{}\n", report.to_json()).as_bytes())?;

    match outcome {
        Ok(()) => Ok(0),
        Err(error) => {
            tracing::error!(
                kind = error.kind().name(),
                error = error.chain(),
                "cannot make the picture"
            );
            Ok(error.kind().exit_code())
        }
    }
}

/// The resolved input, output and options of a run.
struct Job {
    input: Location,
    output: Location,
    request: Request,
    limits: ProcessLimits,
    access: Access,
}

impl Job {
    /// Resolves a job: arguments override settings, and settings override the legacy variables.
    fn new(
        arguments: &[String],
        mut config: Config,
        proxy: ProxySettings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let [input, output] = match arguments {
            [] => [None, None],
            [input] => [Some(input.clone()), None],
            [input, output] => [Some(input.clone()), Some(output.clone())],
            _ => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "too many arguments; use `run INPUT OUTPUT`",
                ));
            }
        };

        if let Some(option) = arguments.iter().find(|argument| argument.starts_with('-')) {
            let message =
                format!("unknown option `{option}`; options are settings, see `describe`");
            return Err(Error::new(ErrorKind::Usage, message));
        }

        let non_empty = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
        if config.at.is_empty() {
            config.at = variable("POSITION_TIME_DURATION").unwrap_or_default();
        }

        let input = input
            .or_else(|| non_empty(&config.input))
            .or_else(|| variable("INPUT_VIDEO_FILE_URL"))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Usage,
                    "no input; pass a video or set THUMBNAIL_INPUT",
                )
            })?;

        let input: Location = input.parse()?;
        let output = output.or_else(|| non_empty(&config.output));
        let is_legacy = output.is_none();
        let output: Location = match output {
            Some(output) => output.parse()?,
            None => legacy_output(&variable)?.unwrap_or_else(|| default_output(&input, &config)),
        };

        // After `output` is resolved, since its extension is the fallback for the format.
        if config.format.is_none() {
            config.format = match Format::from_file_name(&output.name()) {
                // The legacy task accepted any name.
                Err(_) if is_legacy => None,
                format => format?,
            };
        }
        let access = config.access(Aws::from_variables(variable), proxy)?;
        Ok(Self {
            input,
            output,
            request: config.request()?,
            limits: config.process_limits(),
            access,
        })
    }

    async fn execute(&self, traffic: Arc<Traffic>) -> Result<Picture, Error> {
        if let Location::Http(_) = self.output {
            return Err(Error::new(
                ErrorKind::Usage,
                "cannot store a picture on a web server; use a file or s3://bucket/key",
            ));
        }

        // Checked before anything is read, so that the input is never truncated.
        if self.output.is_same_as(&self.input) {
            let message = format!(
                "the output `{}` is the input; use a different output",
                self.output
            );
            return Err(Error::new(ErrorKind::Usage, message));
        }

        // Also before: a picture that cannot be stored need not be made.
        if let Location::File(path) = &self.output {
            replaceable_file(path)?;
        }

        let opening = self
            .access
            .open(&self.input, self.request.deadline, traffic);
        let source = tokio::time::timeout_at(self.request.deadline.into(), opening)
            .instrument(tracing::info_span!("stage", otel.name = "connect"))
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "timed out opening the video"))??;
        let picture = picture_in_background(source, self.request, self.limits, ()).await?;
        let storing = self.access.store(&self.output, &picture);

        storing
            .instrument(tracing::info_span!("stage", otel.name = "store"))
            .await?;
        Ok(picture)
    }
}

/// Returns whether a variable of the legacy task is set.
///
/// `thumbnail` replaces a task without verbs, which made one picture per run; its task definitions
/// work unchanged.
pub(crate) fn has_legacy_variables(is_set: impl Fn(&str) -> bool) -> bool {
    LEGACY_VARIABLES.into_iter().any(is_set)
}

/// Returns the output of the legacy variables: `OUTPUT_S3_PATH` is a bucket and an optional folder.
fn legacy_output(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Location>, Error> {
    let Some(name) = variable("OUTPUT_THUMBS_FILE_NAME") else {
        return Ok(None);
    };
    let Some(path) = variable("OUTPUT_S3_PATH") else {
        return name.parse().map(Some);
    };
    // Both forms exist in task definitions: `bucket/folder` and `s3://bucket/folder`.
    let path = path.trim_start_matches("s3://").trim_matches('/');
    let location = format!("s3://{path}/{name}").parse()?;
    Ok(Some(location))
}

/// Returns the input's name with the extension of the format, in the working directory or in the
/// input's bucket folder.
fn default_output(input: &Location, config: &Config) -> Location {
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

/// The variables of the legacy task that nothing else uses.
const LEGACY_VARIABLES: [&str; 4] = [
    "INPUT_VIDEO_FILE_URL",
    "POSITION_TIME_DURATION",
    "OUTPUT_S3_PATH",
    "OUTPUT_THUMBS_FILE_NAME",
];
/// The exit code for SIGTERM, by the shell convention of 128 plus the signal number.
const EXIT_SIGTERM: u8 = 143;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    fn job(
        arguments: &[&str],
        config: Config,
        variables: &'static [(&'static str, &'static str)],
    ) -> Result<Job, Error> {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        Job::new(&arguments, config, ProxySettings::none(), |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const LEGACY: &[(&str, &str)] = &[
        (
            "INPUT_VIDEO_FILE_URL",
            "https://videos.s3.amazonaws.com/a video.mp4",
        ),
        ("POSITION_TIME_DURATION", "00:00:05"),
        ("OUTPUT_S3_PATH", "pictures/small"),
        ("OUTPUT_THUMBS_FILE_NAME", "a.png"),
        ("AWS_REGION", "eu-west-1"),
    ];

    #[test]
    fn resolves_a_job_from_legacy_variables_alone() {
        let job = job(&[], Config::default(), LEGACY).unwrap();
        assert_eq!(
            job.input.to_string(),
            "https://videos.s3.amazonaws.com/a%20video.mp4"
        );
        assert_eq!(job.output.to_string(), "s3://pictures/small/a.png");
        assert_eq!(job.request.at, Position::After(5_000_000));
        assert_eq!(job.request.format, Format::Png);
    }

    #[test]
    fn detects_legacy_variables() {
        assert!(has_legacy_variables(|name| name == "INPUT_VIDEO_FILE_URL"));
        assert!(!has_legacy_variables(|name| name == "AWS_REGION"));
    }

    #[test]
    fn prefers_arguments_over_settings_over_legacy_variables() {
        let config = Config {
            input: "b.mp4".to_owned(),
            output: "b.jpg".to_owned(),
            at: "50%".to_owned(),
            ..Config::default()
        };

        let from_settings = job(&[], config.clone(), LEGACY).unwrap();
        assert_eq!(from_settings.input.to_string(), "b.mp4");
        assert_eq!(from_settings.output.to_string(), "b.jpg");
        assert_eq!(from_settings.request.at, Position::Share(0.5));
        let from_arguments = job(&["c.mp4", "c.png"], config, LEGACY).unwrap();

        assert_eq!(from_arguments.input.to_string(), "c.mp4");
        assert_eq!(from_arguments.request.format, Format::Png);
    }

    #[test]
    fn names_the_picture_after_the_video() {
        let job = job(&["s3://videos/2026/a.mp4"], Config::default(), &[]).unwrap();
        assert_eq!(job.output.to_string(), "s3://videos/2026/a.jpg");
    }

    #[test]
    fn rejects_command_line_options() {
        let error = job(&["--at", "a.mp4"], Config::default(), &[]).map(|_| ());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn rejects_a_missing_input() {
        let error = job(&[], Config::default(), &[]).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}
