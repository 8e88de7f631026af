//! VPC endpoints: private DNS, security groups, route tables.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::{Check, CheckGroup, CheckOutcome};
use super::network::{HTTPS, Network, join};
use super::paths::{ANYWHERE, Destination, Exit, exit_of, table_of};
use super::request::VerifyRequest;
use super::rules::{Direction, Peer, group, permits};
use super::{items, text};

/// A VPC endpoint for something that the task has to reach.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) destination: Destination,
    document: Value,
}

impl Endpoint {
    /// Finds the endpoints for what the task has to reach. If there are several for one, an interface comes first: its
    /// private names hide all others.
    pub(super) fn find(all: &Value, wanted: &BTreeSet<Destination>, region: &str) -> Vec<Self> {
        let of = |destination: &Destination| {
            let Destination::Api(name) = destination else {
                return None;
            };
            // com.amazonaws.REGION.NAME, or cn.com.amazonaws.… in China.
            let end = format!(".{region}.{name}");
            let mut found: Vec<_> = items(all)
                .filter(|endpoint| text(endpoint, "serviceName").ends_with(&end))
                .filter(|endpoint| !matches!(text(endpoint, "state"), "deleted" | "deleting"))
                .collect();
            found.sort_by_key(|endpoint| endpoint["vpcEndpointType"] == "Gateway");
            Some(Self {
                destination: destination.clone(),
                document: (*found.first()?).clone(),
            })
        };

        wanted.iter().filter_map(of).collect()
    }

    /// Returns what a rule of the tasks has to name.
    pub(super) fn peer<'p>(&'p self, subnets: &'p Value) -> Peer<'p> {
        // The network of a gateway endpoint is a prefix list, which counts as a match, or all addresses.
        let blocks = if self.is_gateway() {
            vec![ANYWHERE]
        } else {
            items(subnets)
                .map(|subnet| text(subnet, "cidrBlock"))
                .collect()
        };
        Peer {
            groups: self.groups(),
            blocks,
        }
    }

    fn is_gateway(&self) -> bool {
        self.document["vpcEndpointType"] == "Gateway"
    }

    fn groups(&self) -> Vec<&str> {
        items(&self.document["groupSet"])
            .map(|entry| text(entry, "groupId"))
            .collect()
    }

    fn id(&self) -> &str {
        text(&self.document, "vpcEndpointId")
    }
}

/// Returns the checks of the endpoints, and of the DNS of the VPC.
pub(super) fn checks(
    network: &Network,
    request: &VerifyRequest,
    endpoints: &[Endpoint],
) -> Vec<Check> {
    let dns = Check::new(
        CheckGroup::Network,
        "DNS of the VPC",
        dns(network, endpoints),
    );

    let each = endpoints.iter().map(|endpoint| {
        let outcome = if endpoint.is_gateway() {
            gateway(network, endpoint)
        } else {
            interface(network, request, endpoint)
        };
        let name = format!("endpoint for {}", endpoint.destination.label());
        Check::new(CheckGroup::Network, name, outcome)
    });

    [dns].into_iter().chain(each).collect()
}

fn dns(network: &Network, endpoints: &[Endpoint]) -> CheckOutcome {
    for answer in [&network.dns_support, &network.dns_names] {
        if let Some(unknown) = answer.unknown() {
            return unknown.into();
        }
    }

    let vpc = network.vpc.as_deref().unwrap_or_default();
    let is_off = |answer: &super::reader::Answer, name: &str| {
        text(&answer.value()[name], "value") == "false"
    };
    if is_off(&network.dns_support, "enableDnsSupport") {
        return CheckOutcome::fail(
            "tasks cannot resolve names: enableDnsSupport is off",
            format!("aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-support"),
        );
    }

    let has_interface = endpoints.iter().any(|endpoint| !endpoint.is_gateway());
    if has_interface && is_off(&network.dns_names, "enableDnsHostnames") {
        return CheckOutcome::fail(
            "the private names of VPC endpoints need enableDnsHostnames, which is off",
            format!("aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-hostnames"),
        );
    }

    CheckOutcome::ok(vpc)
}

fn gateway(network: &Network, endpoint: &Endpoint) -> CheckOutcome {
    if let Some(unknown) = network.tables.unknown() {
        return unknown.into();
    }

    let tables: Vec<_> = items(&endpoint.document["routeTableIdSet"])
        .filter_map(Value::as_str)
        .collect();
    // A subnet with another way out does not need the route of the endpoint.
    let own = items(network.subnets.value())
        .filter_map(|subnet| table_of(network.tables.value(), text(subnet, "subnetId")));
    let missing: BTreeSet<_> = own
        .filter(|table| !tables.contains(&text(table, "routeTableId")))
        .filter(|table| matches!(exit_of(table), Exit::None | Exit::Blackhole(_)))
        .map(|table| text(table, "routeTableId"))
        .collect();

    if missing.is_empty() {
        return CheckOutcome::ok(endpoint.id());
    }

    let missing = missing.into_iter().collect::<Vec<_>>().join(" ");
    CheckOutcome::fail(
        format!(
            "{} has no route in {missing}, the table of the tasks",
            endpoint.id()
        ),
        format!(
            "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {} --add-route-table-ids {missing}",
            endpoint.id()
        ),
    )
}

fn interface(network: &Network, request: &VerifyRequest, endpoint: &Endpoint) -> CheckOutcome {
    let (id, state) = (endpoint.id(), text(&endpoint.document, "state"));
    if endpoint.document["privateDnsEnabled"] == "false" {
        if let Some(unknown) = network.tables.unknown() {
            return unknown.into();
        }
        // Without private DNS the names lead to public addresses, as if there were no endpoint.
        let has_exit = items(network.subnets.value()).all(|subnet| {
            let table = table_of(network.tables.value(), text(subnet, "subnetId"));
            !matches!(
                table.map(exit_of),
                None | Some(Exit::None | Exit::Blackhole(_))
            )
        });
        if has_exit {
            return CheckOutcome::ok(format!("{id} is not used, since it has no private DNS"));
        }
        return CheckOutcome::fail(
            format!("{id} has no private DNS, so tasks connect to the public addresses"),
            format!("aws ec2 modify-vpc-endpoint --vpc-endpoint-id {id} --private-dns-enabled"),
        );
    }

    if !state.eq_ignore_ascii_case("available") {
        return CheckOutcome::fail(
            format!("the state of {id} is {state}"),
            "wait until it is available, or create it again",
        );
    }

    if let Some(unknown) = network.groups.unknown() {
        return unknown.into();
    }

    let all = network.groups.value();
    let own = endpoint.groups();
    let groups: Vec<_> = own.iter().filter_map(|id| group(all, id)).collect();
    // A rule may name the group of the tasks, or the addresses of their subnets.
    let tasks = Peer {
        groups: request
            .place
            .security_groups
            .iter()
            .map(String::as_str)
            .collect(),
        blocks: items(network.subnets.value())
            .map(|subnet| text(subnet, "cidrBlock"))
            .collect(),
    };

    if permits(&groups, Direction::Ingress, HTTPS, &tasks) {
        return CheckOutcome::ok(id);
    }
    if tasks.groups.is_empty() {
        return CheckOutcome::skip(format!(
            "the values have no `security_groups`; {} must let the group of the tasks in on port 443",
            join(own)
        ));
    }

    CheckOutcome::fail(
        format!(
            "{} of {id} let no TCP to port 443 in from the tasks",
            join(own.iter().copied())
        ),
        format!(
            "aws ec2 authorize-security-group-ingress --group-id {} --protocol tcp --port 443 --source-group {}",
            own.first().copied().unwrap_or_default(),
            request.place.security_groups[0]
        ),
    )
}
