//! The ways out of a subnet: its route table, its network ACL, and what the task has to reach.

use std::collections::BTreeSet;

use serde_json::Value;
use task_definition::ImageReference;

use super::request::VerifyRequest;
use super::{items, text};

/// An API of AWS that ECS calls for the task, or another place to reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    /// An API in the region of the task: the end of the name of its VPC endpoint, such as `ecr.api`.
    Api(&'static str),
    /// A host on the internet.
    Host(String),
}

/// Where the default route of a subnet leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// An internet gateway: only tasks with a public address can use it.
    InternetGateway,
    /// A NAT gateway.
    Nat(String),
    /// Another target, which is not examined: a transit gateway, a network interface, a peering connection.
    Other(String),
    /// A target that was deleted.
    Blackhole(String),
    /// There is no default route.
    None,
}

impl Destination {
    /// Returns the name in messages.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Api("ecr.api") => "Amazon ECR (API)",
            Self::Api("ecr.dkr") => "Amazon ECR (registry)",
            Self::Api("s3") => "Amazon S3 (layers of images)",
            Self::Api("secretsmanager") => "Secrets Manager",
            Self::Api("ssm") => "Parameter Store",
            Self::Api("logs") => "CloudWatch Logs",
            Self::Api("ssmmessages") => "Systems Manager (ECS Exec)",
            Self::Api(name) => name,
            Self::Host(host) => host,
        }
    }
}

/// Returns what ECS and the agent of Fargate connect to from the network interface of the task.
///
/// Source: "Amazon ECS interface VPC endpoints" and "Fargate task networking" in the ECS developer guide (platform
/// version 1.4.0 and later).
pub(super) fn destinations(request: &VerifyRequest) -> BTreeSet<Destination> {
    let mut found = BTreeSet::new();
    let api = |name: &'static str, region: &str| {
        if region.is_empty() || region == request.region {
            Destination::Api(name)
        } else {
            // A VPC endpoint is for its own region.
            Destination::Host(format!("{name}.{region}"))
        }
    };

    for container in &request.definition.container_definitions {
        match EcrRepository::parse(&container.image) {
            Some(repository) => {
                for name in ["ecr.api", "ecr.dkr", "s3"] {
                    found.insert(api(name, &repository.region));
                }
            }
            None => {
                found.insert(Destination::Host(registry_host(&container.image)));
            }
        }

        for secret in &container.secrets {
            found.insert(secret_destination(&secret.value_from, &api));
        }
        if !container.environment_files.is_empty() {
            found.insert(Destination::Api("s3"));
        }
        if let Some(logs) = &container.log_configuration {
            for secret in &logs.secret_options {
                found.insert(secret_destination(&secret.value_from, &api));
            }
            if logs.log_driver == "awslogs" {
                let region = logs.options.get("awslogs-region");
                found.insert(api("logs", region.map_or("", String::as_str)));
            }
        }
    }

    // The agent of ECS Exec connects from the network interface of the task.
    if request.has_exec {
        found.insert(Destination::Api("ssmmessages"));
    }
    found
}

fn secret_destination(
    value_from: &str,
    api: &impl Fn(&'static str, &str) -> Destination,
) -> Destination {
    // arn:aws:secretsmanager:region:…; a plain name is that of a parameter.
    let mut parts = value_from.split(':');
    let service = parts.nth(2).unwrap_or_default();
    let region = parts.next().unwrap_or_default();
    match service {
        "secretsmanager" => api("secretsmanager", region),
        _ => api("ssm", region),
    }
}

/// A repository of Amazon ECR.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EcrRepository {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) name: String,
}

impl EcrRepository {
    /// Reads the repository of an image; `None` if it is in another registry.
    pub(super) fn parse(image: &str) -> Option<Self> {
        let (host, name) = ImageReference::parse(image).repository().split_once('/')?;
        // ACCOUNT.dkr.ecr.REGION.amazonaws.com, or ACCOUNT.dkr-ecr.REGION.on.aws with IPv6.
        let mut labels = host.split('.');
        let account = labels.next()?;
        let is_ecr = match labels.next()? {
            "dkr" => matches!(labels.next()?, "ecr" | "ecr-fips"),
            "dkr-ecr" => true,
            _ => false,
        };

        is_ecr.then_some(())?;
        Some(Self {
            account: account.to_owned(),
            region: labels.next()?.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Returns the host of the registry of an image.
fn registry_host(image: &str) -> String {
    // As Docker does: the first step is a host if it has a dot or a port.
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host.to_owned(),
        _ => "docker.io".to_owned(),
    }
}

/// Returns the route table of a subnet: its own, or the main one of the VPC.
pub(crate) fn table_of<'t>(tables: &'t Value, subnet: &str) -> Option<&'t Value> {
    let find = |is_match: &dyn Fn(&Value) -> bool| {
        items(tables).find(|table| items(&table["associationSet"]).any(is_match))
    };
    find(&|association| association["subnetId"] == subnet)
        .or_else(|| find(&|association| association["main"] == "true"))
}

/// Returns where the default route of a table leads.
pub(crate) fn exit_of(table: &Value) -> Exit {
    let route = items(&table["routeSet"]).find(|route| route["destinationCidrBlock"] == ANYWHERE);
    let Some(route) = route else {
        return Exit::None;
    };

    // A route has exactly one of them.
    let targets = [
        "natGatewayId",
        "gatewayId",
        "transitGatewayId",
        "networkInterfaceId",
        "vpcPeeringConnectionId",
        "instanceId",
        "localGatewayId",
        "carrierGatewayId",
    ];

    let target = targets
        .iter()
        .map(|name| text(route, name))
        .find(|id| !id.is_empty());

    let target = target.unwrap_or("an unknown target").to_owned();
    if route["state"] == "blackhole" {
        return Exit::Blackhole(target);
    }
    match target.split('-').next() {
        Some("nat") => Exit::Nat(target),
        Some("igw") => Exit::InternetGateway,
        _ => Exit::Other(target),
    }
}

/// Returns whether the network ACL of a subnet lets TCP pass in one direction from or to anywhere.
///
/// Entries apply in the order of their numbers, and the first one decides. Entries for a part of the addresses are not
/// examined: what they are for is not known.
pub(super) fn acl_permits(acls: &Value, subnet: &str, is_egress: bool, port: u16) -> bool {
    let acl = items(acls)
        .find(|acl| items(&acl["associationSet"]).any(|entry| entry["subnetId"] == subnet));
    let Some(acl) = acl else {
        return true;
    };

    let number = |entry: &Value| text(entry, "ruleNumber").parse::<u32>().unwrap_or(u32::MAX);
    // The XML of EC2 has texts instead of booleans.
    let egress = if is_egress { "true" } else { "false" };
    let mut entries: Vec<_> = items(&acl["entrySet"])
        .filter(|entry| entry["egress"] == egress && entry["cidrBlock"] == ANYWHERE)
        .collect();
    entries.sort_by_key(|entry| number(entry));

    let matches = |entry: &&&Value| match text(entry, "protocol") {
        "-1" => true,
        "6" => {
            let bound = |name: &str| text(&entry["portRange"], name).parse::<u16>().ok();
            let (from, to) = (bound("from"), bound("to"));
            from.is_none_or(|from| from <= port) && to.is_none_or(|to| port <= to)
        }
        _ => false,
    };

    entries
        .iter()
        .find(matches)
        .is_some_and(|entry| entry["ruleAction"] == "allow")
}

pub(super) const ANYWHERE: &str = "0.0.0.0/0";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{EcrRepository, Exit, acl_permits, exit_of, registry_host, table_of};

    #[test]
    fn the_own_table_comes_before_the_main_one() {
        let tables = json!([
            { "routeTableId": "rtb-main", "associationSet": [{ "main": "true" }] },
            { "routeTableId": "rtb-own", "associationSet": [{ "main": "false", "subnetId": "subnet-1" }] },
        ]);
        let id = |subnet| table_of(&tables, subnet).map(|table| table["routeTableId"].clone());
        assert_eq!(id("subnet-1"), Some(json!("rtb-own")));
        assert_eq!(id("subnet-2"), Some(json!("rtb-main")));
    }

    #[test]
    fn a_default_route_to_a_deleted_target_leads_nowhere() {
        let table = |route| json!({ "routeSet": [{ "destinationCidrBlock": "10.0.0.0/16", "gatewayId": "local" }, route] });
        let nat = |state| {
            exit_of(&table(
                json!({ "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1", "state": state }),
            ))
        };
        assert_eq!(nat("active"), Exit::Nat("nat-1".to_owned()));
        assert_eq!(nat("blackhole"), Exit::Blackhole("nat-1".to_owned()));
        assert_eq!(exit_of(&table(json!({}))), Exit::None);
    }

    #[test]
    fn the_first_matching_entry_of_an_acl_decides() {
        let entry = |number: &str, action: &str, from: &str, to: &str| {
            json!({ "ruleNumber": number, "ruleAction": action,
            "egress": "true", "protocol": "6", "cidrBlock": "0.0.0.0/0", "portRange": { "from": from, "to": to } })
        };
        let acls = json!([{ "associationSet": [{ "subnetId": "subnet-1" }],
            "entrySet": [entry("200", "deny", "443", "443"), entry("100", "allow", "80", "443")] }]);
        assert!(acl_permits(&acls, "subnet-1", true, 443));
        assert!(!acl_permits(&acls, "subnet-1", true, 8443));
        assert!(acl_permits(&acls, "subnet-2", true, 8443));
    }

    #[test]
    fn reads_registries() {
        let found =
            EcrRepository::parse("111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1");
        let found = found.expect("a repository");
        assert_eq!(
            (
                found.account.as_str(),
                found.region.as_str(),
                found.name.as_str()
            ),
            ("111122223333", "eu-central-1", "team/app")
        );

        for (image, host) in [
            ("nginx:1", "docker.io"),
            ("team/app", "docker.io"),
            ("ghcr.io/a/b", "ghcr.io"),
        ] {
            assert_eq!(EcrRepository::parse(image), None);
            assert_eq!(registry_host(image), host);
        }
    }
}
