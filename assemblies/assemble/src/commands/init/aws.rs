//! `assemble init aws`: the values of an environment, from the account of the credentials.

use clap::Args;
use ecs_client::{Places, Subnet, SubnetKind, Vpc, caller, places};

use super::choice::{Candidate, choose};
use super::values_file::ValuesFile;
use crate::commands::remote::{self, AwsArguments, Connection, DryRun};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `init aws`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Environment: `assemblies/values/NAME.yaml` is written.
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,
    /// Cluster [default: the only one, or asked for].
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// VPC [default: the only one, or asked for].
    #[arg(long, value_name = "ID")]
    vpc: Option<String>,
    /// Subnet; repeatable [default: one of each availability zone, private ones if there are any].
    #[arg(long = "subnet", value_name = "ID")]
    subnets: Vec<String>,
    /// Replace values that the file has.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Reads the account, chooses, and writes the file.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let path = project
        .root()
        .join(format!("assemblies/values/{}.yaml", arguments.name));
    // Before the account is read: a file that cannot be read ends the command at once.
    let mut file = ValuesFile::read(&path)?;

    let (account, region, found) =
        remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
            let (caller, found) = tokio::join!(caller(connection), places(connection));
            let account = caller?.map(|caller| caller.account).unwrap_or_default();
            let region = match connection {
                Connection::Aws(client) => client.region().to_owned(),
                Connection::DryRun(_) => String::new(),
            };
            Ok((account, region, found?))
        })?;

    let values = values(arguments, &found, ui)?;
    file.set("account", &account, arguments.force)?;
    file.set("region", &region, arguments.force)?;
    for (name, value) in values {
        file.set(name, &value, arguments.force)?;
    }
    file.write()?;
    ui.message(&format!(
        "wrote {}; next: assemble verify NAME --values {}",
        path.strip_prefix(project.root()).unwrap_or(&path).display(),
        arguments.name
    ));

    Ok(0)
}

fn values(
    arguments: &Arguments,
    found: &Places,
    ui: &Ui,
) -> Result<Vec<(&'static str, String)>, CliError> {
    let clusters = found.clusters.iter().map(|name| Candidate::new(name, ""));
    let create = "create one: aws ecs create-cluster --cluster-name NAME";
    let given = arguments.cluster.as_deref();
    let cluster = choose("cluster", given, clusters.collect(), create, ui)?;

    let vpcs = found
        .vpcs
        .iter()
        .map(|vpc| Candidate::new(&vpc.id, &describe_vpc(vpc)));

    let create = "create one, with subnets: aws ec2 create-default-vpc";
    let vpc = choose("vpc", arguments.vpc.as_deref(), vpcs.collect(), create, ui)?;

    let subnets = subnets(&arguments.subnets, found, &vpc)?;
    // One public subnet is enough: the setting is for all of them.
    let has_public = subnets
        .iter()
        .any(|subnet| subnet.kind == SubnetKind::Public);
    if subnets
        .iter()
        .any(|subnet| subnet.kind == SubnetKind::Isolated)
    {
        ui.message(
            "a subnet has no default route, so its tasks need VPC endpoints; `assemble verify` says which",
        );
    }

    let ids: Vec<_> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    let address = if has_public { "ENABLED" } else { "DISABLED" };
    Ok(vec![
        ("cluster", cluster),
        ("vpc", vpc),
        ("subnets", ids.join(",")),
        ("public_address", address.to_owned()),
    ])
}

/// Returns the chosen subnets, or the suggested ones.
fn subnets<'p>(
    given: &[String],
    found: &'p Places,
    vpc: &str,
) -> Result<Vec<&'p Subnet>, CliError> {
    if given.is_empty() {
        let suggested = found.suggested_subnets(vpc);
        if suggested.is_empty() {
            return Err(CliError::Usage(format!(
                "{vpc} has no subnets; create some, or pass `--vpc` of another one"
            )));
        }
        return Ok(suggested);
    }

    let find = |id: &String| {
        let subnet = found.subnets.iter().find(|subnet| subnet.id == *id);
        match subnet {
            Some(subnet) if subnet.vpc == vpc => Ok(subnet),
            Some(subnet) => Err(CliError::Usage(format!(
                "{id} is in {}, and not in {vpc}; pass `--vpc {}`",
                subnet.vpc, subnet.vpc
            ))),
            None => Err(CliError::Usage(format!(
                "there is no subnet {id} in this account and region"
            ))),
        }
    };

    given.iter().map(find).collect()
}

fn describe_vpc(vpc: &Vpc) -> String {
    let name = vpc.name.as_deref().unwrap_or_default();
    format!("{} {name}", vpc.block).trim_end().to_owned()
}

/// Returns the name of an environment, which is that of its file.
fn parse_name(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.is_empty() || !text.bytes().all(is_name) {
        return Err("expected letters, digits, `-` and `_`".to_owned());
    }
    // `check` and the committed documents use the examples, and `up` the local values.
    if matches!(text, "example" | "local") {
        return Err(format!(
            "`{text}` is not for an account; choose another name"
        ));
    }
    Ok(text.to_owned())
}
