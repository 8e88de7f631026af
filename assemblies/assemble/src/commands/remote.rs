//! Shared by the AWS verbs: the login, the task definition, and the check that both fit.
//!
//! | file | does |
//! |---|---|
//! | `target` | reads what to register, compare or run |
//! | `guard` | refuses examples, placeholders and other accounts |
//! | `names` | services and tasks on the command line |
//! | `service` | what an assembly says about its service |
//! | `session` | sessions of Systems Manager: finds the container, starts the plugin |
//! | `signals` | SIGINT and SIGTERM |

use clap::Args;
use ecs_client::{Api, Call, Client, Login, Offline, Recorder};
use serde_json::Value;

use crate::error::CliError;
use crate::runtime;
use crate::ui::Ui;

pub(crate) mod color;
mod guard;
mod names;
mod service;
mod session;
mod signals;
mod target;

pub(crate) use guard::{
    check_before_read, check_before_stack_change, check_before_write, compare_account,
};
pub(crate) use names::{account_of, is_on_aws, parse_service, parse_task};
pub(crate) use session::{Reach, run_session};
pub(crate) use signals::{SIGINT, Signals};
pub(crate) use target::{Target, is_assembly};

/// The login of the verbs that call AWS.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS options")]
pub(crate) struct AwsArguments {
    /// AWS profile [default: AWS_PROFILE, or the credentials of the environment].
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    profile: Option<String>,
    /// AWS region [default: AWS_REGION, or that of the profile].
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    region: Option<String>,
    /// Endpoint of an emulator [default: AWS_ENDPOINT_URL, or that of the profile].
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    endpoint_url: Option<String>,
}

/// Whether the calls are sent.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DryRun {
    /// Print the API calls and send none.
    #[arg(long)]
    dry_run: bool,
}

/// A client, or the record of a dry run.
#[derive(Debug)]
pub(crate) enum Connection {
    Aws(Client),
    DryRun(Recorder<Offline>),
}

impl Connection {
    /// Logs in, unless this is a dry run.
    pub(crate) async fn open(aws: &AwsArguments, dry: &DryRun) -> Result<Self, CliError> {
        if dry.dry_run {
            return Ok(Self::DryRun(Recorder::new(Offline)));
        }

        let login = Login {
            profile: aws.profile.clone(),
            region: aws.region.clone(),
            endpoint_url: aws.endpoint_url.clone(),
        };
        Ok(Self::Aws(Client::log_in(&login).await?))
    }

    /// Returns whether no call is sent.
    pub(crate) fn is_dry_run(&self) -> bool {
        matches!(self, Self::DryRun(_))
    }

    /// Prints the calls of a dry run: the operation, and the request as JSON.
    pub(crate) fn print_calls(&self, ui: &Ui) {
        let Self::DryRun(recorder) = self else {
            return;
        };
        for Call { operation, body } in recorder.calls() {
            let request = serde_json::to_string_pretty(&body).unwrap_or_default();
            ui.data(&format!("{} {request}\n", operation.action()));
        }
        ui.message("dry run: nothing was sent");
    }
}

impl Api for Connection {
    async fn call(&self, call: &Call) -> Result<Value, ecs_client::Error> {
        match self {
            Self::Aws(client) => client.call(call).await,
            Self::DryRun(recorder) => recorder.call(call).await,
        }
    }
}

/// Logs in and runs `work` with the connection; prints the calls of a dry run.
pub(crate) fn with_connection<T>(
    aws: &AwsArguments,
    dry: &DryRun,
    ui: &Ui,
    work: impl AsyncFnOnce(&Connection) -> Result<T, CliError>,
) -> Result<T, CliError> {
    runtime::new()?.block_on(async {
        let connection = Connection::open(aws, dry).await?;
        let outcome = work(&connection).await?;
        connection.print_calls(ui);
        Ok(outcome)
    })
}

impl From<ecs_client::Error> for CliError {
    fn from(error: ecs_client::Error) -> Self {
        // Exit code 3 is for what the remote side refused; a missing credential or region is a usage error.
        if error.is_remote() {
            Self::Refused(error.to_string())
        } else {
            Self::Usage(error.to_string())
        }
    }
}

fn parse_url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("expected a URL that begins with http:// or https://".to_owned()),
    }
}
