//! Makes one picture: from `input` to `output`, as a function and as the verb `run`.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use chassis::{BoxError, Process, Shutdown};
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

/// Makes the picture of `input`, stores it at `output`, and returns a report.
///
/// If the shutdown comes first, nothing is stored and the error is [`ErrorKind::Stopped`].
pub async fn run(config: Config, shutdown: Shutdown) -> Result<Report, Error> {
    let (report, result) = run_with_report(Ok(config), &shutdown).await;
    result.map(|()| report)
}

/// Runs the verb: resolves arguments and variables, prints the report, and returns the exit code.
pub(crate) async fn run_verb(
    arguments: Vec<String>,
    mut config: Config,
    process: Process,
) -> Result<u8, BoxError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    config.proxy = process.proxy;
    config.aws = Aws::from_variables(variable);
    let config = resolve(&arguments, config, variable);
    let (report, result) = run_with_report(config, &process.shutdown)
        .instrument(telemetry::run_span(variable))
        .await;

    let error = result.err();
    if let Some(error) = &error
        && error.kind() == ErrorKind::Stopped
    {
        return Ok(error.kind().exit_code());
    }

    // A single write, so that other output cannot split the line.
    std::io::stdout().write_all(format!("{}\n", report.to_json()).as_bytes())?;
    match error {
        None => Ok(0),
        Some(error) => {
            tracing::error!(
                kind = error.kind().name(),
                error = error.chain(),
                "cannot make the picture"
            );
            Ok(error.kind().exit_code())
        }
    }
}

/// Makes the picture; the report also describes an error.
async fn run_with_report(
    config: Result<Config, Error>,
    shutdown: &Shutdown,
) -> (Report, Result<(), Error>) {
    let start = Instant::now();
    let traffic = Arc::new(Traffic::default());
    let work = async {
        let job = Job::new(config?)?;
        let result = job.execute(traffic.clone()).await;
        Ok((job, result))
    };
    let finished = tokio::select! {
        finished = work => finished,
        () = shutdown.wait() => {
            let error = Error::new(ErrorKind::Stopped, "stopped before the picture was stored");
            return (Report::new(start, &traffic).with_error(&error), Err(error));
        }
    };

    // Built after the work: it records the traffic and the time of the whole run.
    let report = Report::new(start, &traffic);
    let (report, result) = match finished {
        Ok((job, result)) => {
            let report = report.with_locations(job.input.to_string(), job.output.to_string());
            (report, result)
        }
        Err(error) => (report, Err(error)),
    };

    telemetry::count(result.as_ref().err().map(Error::kind), start.elapsed());
    match result {
        Ok(picture) => {
            let report = report.with_picture(picture.info, picture.bytes.len());
            (report, Ok(()))
        }
        Err(error) => (report.with_error(&error), Err(error)),
    }
}

/// Returns the settings of a run: arguments override settings, and settings override the legacy
/// variables.
fn resolve(
    arguments: &[String],
    mut config: Config,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Config, Error> {
    if let Some(option) = arguments.iter().find(|argument| argument.starts_with('-')) {
        let message = format!("unknown option `{option}`; options are settings, see `describe`");
        return Err(Error::new(ErrorKind::Usage, message));
    }

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

    let non_empty = |value: String| Some(value).filter(|value| !value.is_empty());
    config.input = input
        .or_else(|| non_empty(config.input))
        .or_else(|| variable("INPUT_VIDEO_FILE_URL"))
        .unwrap_or_default();
    config.output = output
        .or_else(|| non_empty(config.output))
        .unwrap_or_default();
    if config.output.is_empty()
        && let Some(output) = legacy_output(&variable)
    {
        // The legacy task accepted any name.
        let format = Format::from_file_name(&output).ok().flatten();
        config.format = config.format.or(format).or(Some(Format::Jpeg));
        config.output = output;
    }

    config.at = non_empty(config.at)
        .or_else(|| variable("POSITION_TIME_DURATION"))
        .unwrap_or_default();
    Ok(config)
}

/// The parsed input, output and options of a run.
struct Job {
    input: Location,
    output: Location,
    request: Request,
    limits: ProcessLimits,
    access: Access,
}

impl Job {
    fn new(mut config: Config) -> Result<Self, Error> {
        if config.input.is_empty() {
            return Err(Error::new(
                ErrorKind::Usage,
                "no input; pass a video or set THUMBNAIL_INPUT",
            ));
        }

        let input: Location = config.input.parse()?;
        let output = match config.output.as_str() {
            "" => default_output(&input, &config),
            output => output.parse()?,
        };

        // After `output` is resolved, since its extension is the fallback for the format.
        if config.format.is_none() {
            config.format = Format::from_file_name(&output.name())?;
        }
        Ok(Self {
            input,
            output,
            request: config.request()?,
            limits: config.process_limits(),
            access: config.access()?,
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
fn legacy_output(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let name = variable("OUTPUT_THUMBS_FILE_NAME")?;
    let Some(path) = variable("OUTPUT_S3_PATH") else {
        return Some(name);
    };
    // Both forms exist in task definitions: `bucket/folder` and `s3://bucket/folder`.
    let path = path.trim_start_matches("s3://").trim_matches('/');
    Some(format!("s3://{path}/{name}"))
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
        let config = resolve(&arguments, config, |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })?;
        Job::new(config)
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
    fn only_legacy_variables_may_name_a_picture_without_a_known_extension() {
        let legacy = &[
            ("INPUT_VIDEO_FILE_URL", "a.mp4"),
            ("OUTPUT_THUMBS_FILE_NAME", "a.thumb"),
        ];
        let job_of_old_task = job(&[], Config::default(), legacy).unwrap();
        assert_eq!(job_of_old_task.request.format, Format::Jpeg);

        let error = job(&["a.mp4", "a.thumb"], Config::default(), &[]).map(|_| ());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
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
