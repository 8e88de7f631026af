//! Security groups on the way of requests: clients, load balancer, tasks.

use super::balancer::Balancer;
use super::check::{Check, CheckGroup, CheckOutcome};
use super::network::Network;
use super::request::VerifyRequest;
use super::rules::{Direction, Peer, group, permits};
use super::{items, text};

/// Returns the checks, hop by hop.
pub(super) fn checks(
    request: &VerifyRequest,
    network: &Network,
    balancer: &Balancer,
) -> Vec<Check> {
    let check = |name: String, outcome| Check::new(CheckGroup::SecurityGroups, name, outcome);
    let place = &request.place;
    let mut checks = Vec::new();
    if !place.security_groups.is_empty() {
        checks.push(check(
            "groups of the tasks".to_owned(),
            exist(request, network),
        ));
    }

    let Some(public) = &request.public else {
        return checks;
    };

    // Those of the load balancer, and that of the values, from which the stack lets requests in.
    let name = format!("load balancer to tasks, port {}", public.port);
    let mut of_balancer: Vec<&str> = balancer.groups().into_iter().collect();
    of_balancer.extend(place.balancer_group.as_deref());
    of_balancer.sort_unstable();
    of_balancer.dedup();
    if of_balancer.is_empty() {
        // A network load balancer need not have security groups.
        let outcome = match (balancer.balancers.unknown(), network.groups.unknown()) {
            (Some(unknown), _) | (None, Some(unknown)) => unknown.into(),
            (None, None) => CheckOutcome::skip("the load balancer has no security group"),
        };
        return [checks, vec![check(name, outcome)]].concat();
    }

    if let Some(unknown) = network.groups.unknown() {
        return [checks, vec![check(name, unknown.into())]].concat();
    }

    let all = network.groups.value();
    if let Some(unknown) = balancer.listeners.unknown() {
        checks.push(check("clients to load balancer".to_owned(), unknown.into()));
    }

    let listeners = items(&balancer.listeners.value()["Listeners"]);
    for port in listeners.filter_map(|listener| text(listener, "Port").parse::<u16>().ok()) {
        checks.push(check(
            format!("clients to load balancer, port {port}"),
            from_clients(all, &of_balancer, port),
        ));
    }

    let egress = to_tasks(request, all, &of_balancer, public.port);
    checks.push(check(
        format!("egress of the load balancer, port {}", public.port),
        egress,
    ));

    checks.push(check(name, from_balancer(request, network, &of_balancer)));
    checks
}

fn exist(request: &VerifyRequest, network: &Network) -> CheckOutcome {
    if let Some(unknown) = network.groups.unknown() {
        return unknown.into();
    }

    let ids = &request.place.security_groups;
    match ids
        .iter()
        .find(|id| group(network.groups.value(), id).is_none())
    {
        Some(id) => CheckOutcome::fail(
            format!(
                "{id} is not in {}",
                network.vpc.as_deref().unwrap_or("the VPC")
            ),
            "correct `security_groups` in the values: groups and subnets share a VPC",
        ),
        None => CheckOutcome::ok(ids.join(", ")),
    }
}

fn from_clients(all: &serde_json::Value, ids: &[&str], port: u16) -> CheckOutcome {
    let groups: Vec<_> = ids.iter().filter_map(|id| group(all, id)).collect();
    if groups.is_empty() {
        return CheckOutcome::skip("its security groups are not in the VPC");
    }
    // The clients are not known: any rule for the port may be for them.
    let is_open = groups.iter().any(|group| {
        let rules = items(&group["ipPermissions"]);
        let mut sources = rules.flat_map(|rule| {
            ["ipRanges", "ipv6Ranges", "groups", "prefixListIds"]
                .into_iter()
                .filter(|list| items(&rule[*list]).next().is_some())
                .map(move |_| rule)
        });
        sources.any(|rule| super::rules::has_port(rule, port))
    });

    if is_open {
        return CheckOutcome::ok(ids.join(", "));
    }
    CheckOutcome::fail(
        format!("{} let nothing in on port {port}", ids.join(", ")),
        format!(
            "aws ec2 authorize-security-group-ingress --group-id {} --protocol tcp --port {port} --cidr …",
            ids[0]
        ),
    )
}

fn to_tasks(
    request: &VerifyRequest,
    all: &serde_json::Value,
    ids: &[&str],
    port: u16,
) -> CheckOutcome {
    let groups: Vec<_> = ids.iter().filter_map(|id| group(all, id)).collect();
    if groups.is_empty() {
        return CheckOutcome::skip("its security groups are not in the VPC");
    }

    let tasks: Vec<_> = request
        .place
        .security_groups
        .iter()
        .map(String::as_str)
        .collect();

    let peer = Peer {
        groups: tasks.clone(),
        // The private ranges (RFC 1918, RFC 6598) that addresses of a VPC are from.
        blocks: vec![
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
        ],
    };

    if permits(&groups, Direction::Egress, port, &peer) {
        return CheckOutcome::ok(ids.join(", "));
    }
    if tasks.is_empty() {
        return CheckOutcome::skip(
            "the values have no `security_groups`; a stack adds the rule for its own group",
        );
    }

    CheckOutcome::fail(
        format!(
            "{} let no TCP to port {port} out to the tasks",
            ids.join(", ")
        ),
        format!("add an egress rule for TCP {port} to {}", ids[0]),
    )
}

fn from_balancer(request: &VerifyRequest, network: &Network, ids: &[&str]) -> CheckOutcome {
    let tasks = &request.place.security_groups;
    if tasks.is_empty() {
        return CheckOutcome::skip(
            "the values have no `security_groups`; a stack creates a group with this rule",
        );
    }

    let all = network.groups.value();
    let groups: Vec<_> = tasks.iter().filter_map(|id| group(all, id)).collect();
    if groups.is_empty() {
        return CheckOutcome::skip("the groups of the tasks are not in the VPC");
    }

    let port = request.public.as_ref().map_or(0, |public| public.port);
    let peer = Peer {
        groups: ids.to_vec(),
        // The addresses of the load balancer are in its subnets, which may be others than those of the tasks.
        blocks: items(network.subnets.value())
            .map(|subnet| text(subnet, "cidrBlock"))
            .collect(),
    };

    if permits(&groups, Direction::Ingress, port, &peer) {
        return CheckOutcome::ok(format!("{} to {}", ids.join(", "), tasks.join(", ")));
    }
    CheckOutcome::fail(
        format!(
            "{} let no TCP to port {port} in from {}",
            tasks.join(", "),
            ids.join(", ")
        ),
        format!(
            "aws ec2 authorize-security-group-ingress --group-id {} --protocol tcp --port {port} --source-group {}",
            tasks[0], ids[0]
        ),
    )
}
