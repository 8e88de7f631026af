//! `assemble status`: a service on AWS, its deployment, and its latest events.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use ecs_client::{
    DeploymentState, ServiceName, ServiceState, describe_deployment, describe_service,
};
use serde_json::{Value, json};

use super::deploy::{format_duration, pause_line, progress_line};
use super::remote::{self, AwsArguments, DryRun};
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Service: its cluster and name, or its ARN. Local runs: `assemble ps`.
    #[arg(value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: ServiceName,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    aws: AwsArguments,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: the response format of DescribeServices.
    Json,
}

/// Prints the service with at most two calls.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let service = &arguments.service;
    let (state, deployment) =
        remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
            let state = describe_service(connection, service).await?;
            let deployment = match state.current_deployment() {
                Some(arn) if arguments.format == Format::Text => {
                    describe_deployment(connection, arn).await?
                }
                _ => None,
            };
            Ok((state, deployment))
        })?;

    ui.data(&match arguments.format {
        Format::Text => text(service, &state, deployment.as_ref()),
        Format::Json => format!(
            "{:#}\n",
            json!({ "services": [state.document()], "failures": [] })
        ),
    });
    Ok(0)
}

fn text(
    service: &ServiceName,
    state: &ServiceState,
    deployment: Option<&DeploymentState>,
) -> String {
    let document = state.document();
    let count = |name: &str| document[name].as_u64().unwrap_or_default();
    let status = document["status"].as_str().unwrap_or("UNKNOWN");
    let mut text = format!(
        "{service}   {status}   service: {} of {} tasks running",
        count("runningCount"),
        count("desiredCount")
    );
    if count("pendingCount") > 0 {
        let _ = write!(text, ", {} starting", count("pendingCount"));
    }
    let _ = writeln!(text, "\nrevision     {}", state.revision());

    let primary = document["deployments"].as_array().and_then(|all| {
        all.iter()
            .find(|deployment| deployment["status"] == "PRIMARY")
    });
    let rollout = primary.map_or(&Value::Null, |primary| &primary["rolloutState"]);
    if let Some(rollout) = rollout.as_str() {
        let reason = primary.and_then(|it| it["rolloutStateReason"].as_str());
        let line = format!("deployment   {rollout}   {}", reason.unwrap_or_default());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if let Some(deployment) = deployment {
        text += &details(deployment, service);
    }
    text + &events(document)
}

/// Formats a deployment: what it does, or how it ended.
fn details(deployment: &DeploymentState, service: &ServiceName) -> String {
    let mut text = String::new();
    if deployment.is_final() {
        // What runs is above; how the last deployment ended is not, if ECS went back.
        if deployment.status != "SUCCESSFUL" {
            let reason = deployment.reason.as_deref().unwrap_or_default();
            let line = format!("  last         {}   {reason}", deployment.status);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        return text;
    }

    let _ = writeln!(
        text,
        "  {}   {}",
        deployment.strategy,
        progress_line(deployment)
    );
    for pause in &deployment.pauses {
        let _ = writeln!(text, "  {}", pause_line(pause, service));
    }
    for alarm in &deployment.alarms {
        let _ = writeln!(text, "  alarm {alarm} is in ALARM");
    }
    text
}

/// Formats the latest events, the newest first, with their age.
fn events(document: &Value) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let age = |event: &Value| {
        let at = Duration::try_from_secs_f64(event["createdAt"].as_f64()?).ok()?;
        Some(format_duration(now.saturating_sub(at)))
    };
    let events = document["events"].as_array().into_iter().flatten();
    let lines = events.take(MAX_EVENTS).map(|event| {
        let message = event["message"].as_str().unwrap_or_default();
        format!("{:>13} ago   {message}\n", age(event).unwrap_or_default())
    });
    let lines: String = lines.collect();
    if lines.is_empty() {
        lines
    } else {
        format!("events\n{lines}")
    }
}

const MAX_EVENTS: usize = 10;
