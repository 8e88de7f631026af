//! `assemble verify`: checks that the account has what a deployment needs, and changes nothing.
//!
//! | file | does |
//! |---|---|
//! | `place` | where the task shall run: values, or a service that exists |
//! | `report` | prints the checks: text, JSON, GitHub annotations |

use std::time::{SystemTime, UNIX_EPOCH};

use assembly::Plan;
use assembly::manifest::LoadBalancer;
use assembly::plan::iam;
use clap::{Args, ValueEnum};
use ecs_client::{PublicEndpoint, RoleKind, RoleStatement, ServiceName, VerifyRequest};
use serde_json::Value;

use super::remote::{self, AwsArguments, Connection, DryRun, Target};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod place;
mod report;

use place::Location;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a file with a task definition.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// Existing service, whose network and target group are checked instead of those of the values.
    #[arg(long, value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: Option<ServiceName>,
    /// Before the first deployment of the stack: roles and log groups that it creates may be missing.
    #[arg(long)]
    stack: bool,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    aws: AwsArguments,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For GitHub: workflow commands that annotate a run.
    Github,
}

/// Prints the checks; 1 if one failed, 3 if AWS refused every call.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let target = Target::read(&arguments.what, &arguments.values, project)?;
    let from_values = Location::from_values(&target, &arguments.values, project)?;

    let report =
        remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
            remote::check_before_read(connection, &target)?;
            let location = match &arguments.service {
                Some(service) => Location::from_service(connection, service, from_values).await?,
                None => from_values,
            };
            let request = request(arguments, &target, location, connection)?;
            // The futures of all checks together are large.
            Ok(Box::pin(ecs_client::verify(connection, &request)).await?)
        })?;

    ui.data(&match arguments.format {
        Format::Text => report::text(&report, ui.color()),
        Format::Json => format!("{:#}\n", report.to_json()),
        Format::Github => report::github(&report),
    });

    // A failure was seen, so that it comes before what was refused.
    if report.failures().next().is_some() {
        return Ok(1);
    }
    if report.is_refused() {
        return Err(CliError::Refused(
            "AWS refused every call; `assemble permissions verify` prints the policy that is needed"
                .to_owned(),
        ));
    }

    Ok(0)
}

fn request(
    arguments: &Arguments,
    target: &Target,
    location: Location,
    connection: &Connection,
) -> Result<VerifyRequest, CliError> {
    let (region, is_emulator) = match connection {
        Connection::Aws(client) => (client.region(), client.is_emulator()),
        Connection::DryRun(_) => ("", true),
    };

    if let Some(expected) = &target.expected.region
        && expected != region
    {
        return Err(CliError::Usage(format!(
            "{} is for {expected}, and the region of the calls is {region}; pass `--region {expected}`",
            target.expected.origin
        )));
    }

    let plan = target.plan.as_deref();
    let service = plan.and_then(Plan::service);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(VerifyRequest {
        definition: target.definition.clone(),
        // The account of an emulator is made up.
        account: target.expected.account.clone().filter(|_| !is_emulator),
        region: region.to_owned(),
        public: plan.and_then(public).or(location.public),
        place: location.place,
        statements: plan.map(statements).unwrap_or_default(),
        max_tasks: service.map_or(1, |service| service.max),
        has_scaling: service.is_some_and(|service| service.min < service.max),
        has_exec: service.is_some_and(|service| service.exec),
        is_before_stack: arguments.stack,
        now: now.unwrap_or_default().as_secs(),
    })
}

/// Returns where clients connect, if there is a load balancer.
fn public(plan: &Plan) -> Option<PublicEndpoint> {
    let public = plan.public()?;
    plan.service()?;
    // The protocols that `render` gives the target group, and what works as well.
    let protocols: &[&str] = match plan.load_balancer() {
        LoadBalancer::None => return None,
        LoadBalancer::Network => &["TCP", "TLS"],
        LoadBalancer::Application if public.interface() == "https" => &["HTTPS"],
        LoadBalancer::Application => &["HTTP"],
    };
    Some(PublicEndpoint {
        container: public.container(plan).to_owned(),
        port: public.port(),
        protocols: protocols.iter().map(|it| (*it).to_owned()).collect(),
    })
}

/// Returns what the roles of an assembly must allow.
fn statements(plan: &Plan) -> Vec<RoleStatement> {
    let roles = iam::roles(plan, DEFAULT_CLUSTER);
    let of_tasks = roles.into_iter().filter_map(|role| {
        let kind = match role.suffix {
            iam::EXECUTION => RoleKind::Execution,
            iam::TASK => RoleKind::Task,
            // The roles of EventBridge belong to the trigger.
            _ => return None,
        };
        Some((kind, role.statements))
    });

    of_tasks
        .flat_map(|(role, statements)| {
            statements.into_iter().map(move |statement| RoleStatement {
                role,
                sid: statement.sid,
                actions: statement.actions,
                resources: statement.resources,
                condition: Value::Object(statement.condition),
                why: statement.why,
            })
        })
        .collect()
}

/// The cluster in the roles of a trigger, which are not checked.
const DEFAULT_CLUSTER: &str = "default";
