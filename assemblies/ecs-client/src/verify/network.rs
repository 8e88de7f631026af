//! Subnets, and their routes to what the task has to reach.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::check::{Check, CheckGroup, CheckOutcome};
use super::endpoints::{self, Endpoint};
use super::nat;
use super::paths::{ANYWHERE, Destination, Exit, acl_permits, destinations, exit_of, table_of};
use super::reader::{Answer, Reader};
use super::request::VerifyRequest;
use super::rules::{Direction, Peer, group, permits};
use super::{items, text};
use crate::api::{Api, Operation};

/// The network of the subnets.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) subnets: Answer,
    pub(super) vpc: Option<String>,
    pub(super) tables: Answer,
    pub(super) endpoints: Answer,
    pub(super) groups: Answer,
    pub(super) gateways: Answer,
    acls: Answer,
    pub(super) dns_support: Answer,
    pub(super) dns_names: Answer,
}

impl Network {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Self {
        let place = &request.place;
        let subnets = async {
            if place.subnets.is_empty() {
                return Answer::not_asked("the values have no `subnets`");
            }
            let body = json!({ "SubnetId": place.subnets });
            reader
                .ask_all(Operation::DescribeSubnets, body, "subnetSet")
                .await
        };

        // A known VPC saves a round trip.
        if let Some(vpc) = &place.vpc {
            let (subnets, network) = tokio::join!(subnets, Self::of_vpc(reader, vpc));
            return Self { subnets, ..network };
        }

        let subnets = subnets.await;
        let vpc = items(subnets.value())
            .next()
            .map(|subnet| text(subnet, "vpcId").to_owned());
        match vpc {
            Some(vpc) if !vpc.is_empty() => {
                let network = Self::of_vpc(reader, &vpc).await;
                Self { subnets, ..network }
            }
            _ => Self::without_vpc(subnets),
        }
    }

    async fn of_vpc(reader: &Reader<'_, impl Api>, vpc: &str) -> Self {
        let filter = |name: &str| json!({ "Filter": [{ "Name": name, "Value": [vpc] }] });
        let attribute = |name: &str| json!({ "VpcId": vpc, "Attribute": name });
        let all = |operation, list| reader.ask_all(operation, filter("vpc-id"), list);
        let (tables, endpoints, groups, gateways, acls, dns_support, dns_names) = tokio::join!(
            all(Operation::DescribeRouteTables, "routeTableSet"),
            all(Operation::DescribeVpcEndpoints, "vpcEndpointSet"),
            all(Operation::DescribeSecurityGroups, "securityGroupInfo"),
            all(Operation::DescribeNatGateways, "natGatewaySet"),
            all(Operation::DescribeNetworkAcls, "networkAclSet"),
            reader.ask(
                Operation::DescribeVpcAttribute,
                attribute("enableDnsSupport")
            ),
            reader.ask(
                Operation::DescribeVpcAttribute,
                attribute("enableDnsHostnames")
            ),
        );

        Self {
            subnets: Answer::not_asked(""),
            vpc: Some(vpc.to_owned()),
            tables,
            endpoints,
            groups,
            gateways,
            acls,
            dns_support,
            dns_names,
        }
    }

    fn without_vpc(subnets: Answer) -> Self {
        let unknown = match &subnets {
            Answer::Unknown(unknown) => Answer::Unknown(unknown.clone()),
            _ => Answer::not_asked("the VPC of the subnets is not known"),
        };

        Self {
            subnets,
            vpc: None,
            tables: unknown.clone(),
            endpoints: unknown.clone(),
            groups: unknown.clone(),
            gateways: unknown.clone(),
            acls: unknown.clone(),
            dns_support: unknown.clone(),
            dns_names: unknown,
        }
    }

    /// Returns the checks of the network.
    pub(super) fn checks(&self, request: &VerifyRequest) -> Vec<Check> {
        let check = |name: String, outcome| Check::new(CheckGroup::Network, name, outcome);
        let mut checks = vec![check("subnets".to_owned(), self.subnets_exist(request))];
        if !matches!(self.subnets, Answer::Found(_)) {
            return checks;
        }

        // The rest needs the subnets: which route table is theirs, and which addresses they have.
        let wanted = destinations(request);
        let endpoints = Endpoint::find(self.endpoints.value(), &wanted, &request.region);
        for subnets in self.subnets_by_table() {
            let outcome = self.routes(subnets[0], request, &wanted, &endpoints);
            checks.push(check(format!("{} routes", subnets.join(", ")), outcome));
        }
        for subnet in items(self.subnets.value()) {
            let id = text(subnet, "subnetId");
            checks.push(check(
                format!("{id} network ACL"),
                self.acl(id, request, &wanted, &endpoints),
            ));
        }

        for gateway in nat::used_gateways(self) {
            let outcome = nat::check(self, &gateway);
            checks.push(check(format!("{gateway} reaches the internet"), outcome));
        }

        checks.push(check(
            "egress of the tasks".to_owned(),
            self.egress(request, &wanted, &endpoints),
        ));

        checks.extend(endpoints::checks(self, request, &endpoints));
        checks
    }

    fn subnets_exist(&self, request: &VerifyRequest) -> CheckOutcome {
        let subnets = match &self.subnets {
            Answer::Found(subnets) => subnets,
            Answer::Unknown(unknown) => return unknown.into(),
            Answer::Missing(message) => {
                return CheckOutcome::fail(
                    message.clone(),
                    "correct `subnets` in the values, or the region",
                );
            }
        };

        let vpcs: BTreeSet<_> = items(subnets).map(|subnet| text(subnet, "vpcId")).collect();
        let expected = request.place.vpc.as_deref();
        if let Some(other) = vpcs
            .iter()
            .find(|vpc| expected.is_some_and(|expected| expected != **vpc))
        {
            return CheckOutcome::fail(
                format!(
                    "subnets are in {other}, and `vpc` is {}",
                    expected.unwrap_or_default()
                ),
                "correct `subnets` or `vpc` in the values: a load balancer and its targets share a VPC",
            );
        }

        if vpcs.len() > 1 {
            return CheckOutcome::fail(
                format!(
                    "the subnets are in {} VPCs: {}",
                    vpcs.len(),
                    join(vpcs.iter().copied())
                ),
                "pass subnets of one VPC",
            );
        }

        // An address for each task; AWS keeps five of each subnet for itself.
        let free = |subnet: &Value| text(subnet, "availableIpAddressCount").parse::<u64>().ok();
        if let Some(full) = items(subnets).find(|subnet| free(subnet) == Some(0)) {
            return CheckOutcome::fail(
                format!("{} has no free address", text(full, "subnetId")),
                "delete network interfaces that nothing uses, or pass a larger subnet",
            );
        }

        let zones: BTreeSet<_> = items(subnets)
            .map(|subnet| text(subnet, "availabilityZone"))
            .collect();
        CheckOutcome::ok(join(zones.iter().copied()))
    }

    /// Returns the subnets with the same route table together: a missing route is one failure.
    fn subnets_by_table(&self) -> Vec<Vec<&str>> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for subnet in items(self.subnets.value()) {
            let id = text(subnet, "subnetId");
            let table = table_of(self.tables.value(), id);
            let table = table.map_or("", |table| text(table, "routeTableId"));

            match groups.iter_mut().find(|(other, _)| *other == table) {
                Some((_, subnets)) => subnets.push(id),
                None => groups.push((table, vec![id])),
            }
        }
        groups.into_iter().map(|(_, subnets)| subnets).collect()
    }

    /// Checks that destinations without a VPC endpoint are reached through the default route.
    fn routes(
        &self,
        subnet: &str,
        request: &VerifyRequest,
        wanted: &BTreeSet<Destination>,
        endpoints: &[Endpoint],
    ) -> CheckOutcome {
        for answer in [&self.tables, &self.endpoints] {
            if let Some(unknown) = answer.unknown() {
                return unknown.into();
            }
        }

        // An endpoint that does not work has its own check, so that one cause is one failure.
        let rest = without_endpoint(wanted, endpoints);
        if rest.is_empty() {
            return CheckOutcome::ok("all through VPC endpoints");
        }

        let Some(table) = table_of(self.tables.value(), subnet) else {
            return CheckOutcome::skip("its route table was not returned");
        };

        let id = text(table, "routeTableId");
        let unreachable = join(rest.iter().map(|destination| destination.label()));
        let nat = format!(
            "add a route of 0.0.0.0/0 to a NAT gateway to {id}, or VPC endpoints, or pass other subnets"
        );
        match exit_of(table) {
            Exit::InternetGateway if !request.place.has_public_address => CheckOutcome::fail(
                format!(
                    "{id} leads to an internet gateway, but tasks have no public address; they cannot reach {unreachable}"
                ),
                "set `public_address: ENABLED` in the values, or pass subnets behind a NAT gateway",
            ),
            Exit::InternetGateway => {
                CheckOutcome::ok(format!("{id}: internet gateway, with a public address"))
            }
            Exit::Nat(gateway) => CheckOutcome::ok(format!("{id}: {gateway}")),
            Exit::Other(target) => {
                CheckOutcome::ok(format!("{id}: {target}, which is not checked"))
            }
            Exit::Blackhole(target) => CheckOutcome::fail(
                format!(
                    "the default route of {id} leads to {target}, which is deleted; tasks cannot reach {unreachable}"
                ),
                nat,
            ),
            Exit::None => CheckOutcome::fail(
                format!("{id} has no default route; tasks cannot reach {unreachable}"),
                nat,
            ),
        }
    }

    fn acl(
        &self,
        subnet: &str,
        request: &VerifyRequest,
        wanted: &BTreeSet<Destination>,
        endpoints: &[Endpoint],
    ) -> CheckOutcome {
        if let Some(unknown) = self.acls.unknown() {
            return unknown.into();
        }
        if without_endpoint(wanted, endpoints).is_empty() {
            return CheckOutcome::ok("all through VPC endpoints");
        }

        let acls = self.acls.value();
        if !acl_permits(acls, subnet, true, HTTPS) {
            return CheckOutcome::fail(
                "the network ACL denies outgoing TCP to port 443",
                "allow it: AWS's APIs and registries listen there",
            );
        }

        // Responses come to the port that the task connected from.
        if !acl_permits(acls, subnet, false, EPHEMERAL_PORT) {
            return CheckOutcome::fail(
                "the network ACL denies incoming TCP to ports 1024-65535, so responses are lost",
                "allow it: network ACLs have no state",
            );
        }

        let port = request.public.as_ref().map(|public| public.port);
        CheckOutcome::ok(match port {
            Some(port) if !acl_permits(acls, subnet, false, port) => {
                format!(
                    "allows 443; requests to {port} only from parts of the addresses, if at all"
                )
            }
            _ => "allows 443".to_owned(),
        })
    }

    /// Checks that the security groups of the tasks let connections to port 443 out.
    fn egress(
        &self,
        request: &VerifyRequest,
        wanted: &BTreeSet<Destination>,
        endpoints: &[Endpoint],
    ) -> CheckOutcome {
        let ids = &request.place.security_groups;
        if ids.is_empty() {
            return CheckOutcome::skip(
                "the values have no `security_groups`; those that a stack creates let everything out",
            );
        }

        if let Some(unknown) = self.groups.unknown() {
            return unknown.into();
        }

        let all = self.groups.value();
        // A group that does not exist has its own check.
        let groups: Vec<_> = ids.iter().filter_map(|id| group(all, id)).collect();
        if groups.is_empty() {
            return CheckOutcome::skip("its security groups are not in the VPC");
        }

        let internet = Peer {
            groups: Vec::new(),
            blocks: vec![ANYWHERE],
        };

        let rest = without_endpoint(wanted, endpoints);
        let direct = rest.iter().map(|destination| destination.label());
        let mut closed: Vec<&str> = direct
            .filter(|_| !permits(&groups, Direction::Egress, HTTPS, &internet))
            .collect();
        for endpoint in endpoints {
            let peer = endpoint.peer(self.subnets.value());
            if !permits(&groups, Direction::Egress, HTTPS, &peer) {
                closed.push(endpoint.destination.label());
            }
        }

        if closed.is_empty() {
            return CheckOutcome::ok("TCP to port 443");
        }
        CheckOutcome::fail(
            format!(
                "{} let no TCP to port 443 out to {}",
                ids.join(", "),
                join(closed)
            ),
            format!("add an egress rule for TCP 443 to {}", ids[0]),
        )
    }
}

/// Returns the destinations that no VPC endpoint serves.
pub(super) fn without_endpoint<'d>(
    wanted: &'d BTreeSet<Destination>,
    endpoints: &[Endpoint],
) -> Vec<&'d Destination> {
    let has_none = |destination: &&Destination| {
        !endpoints
            .iter()
            .any(|endpoint| endpoint.destination == **destination)
    };
    wanted.iter().filter(has_none).collect()
}

pub(super) fn join<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

pub(super) const HTTPS: u16 = 443;
/// One of the ports that Linux connects from.
const EPHEMERAL_PORT: u16 = 49_152;
