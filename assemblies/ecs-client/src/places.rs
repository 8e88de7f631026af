//! The places where tasks can run in an account: clusters, VPCs and their subnets.

use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::error::Error;
use crate::verify::paths::{Exit, exit_of, table_of};

/// The clusters, VPCs and subnets of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The names of the clusters, sorted.
    pub clusters: Vec<String>,
    /// The VPCs.
    pub vpcs: Vec<Vpc>,
    /// The subnets of all VPCs.
    pub subnets: Vec<Subnet>,
}

/// A VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// The id.
    pub id: String,
    /// The block of addresses.
    pub block: String,
    /// The tag `Name`.
    pub name: Option<String>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The id.
    pub id: String,
    /// The VPC.
    pub vpc: String,
    /// The availability zone.
    pub zone: String,
    /// The tag `Name`.
    pub name: Option<String>,
    /// Where its default route leads.
    pub kind: SubnetKind,
}

/// Where the default route of a subnet leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubnetKind {
    /// A NAT gateway, or another target that needs no public address.
    Private,
    /// An internet gateway: tasks need a public address.
    Public,
    /// Nowhere: tasks need VPC endpoints.
    Isolated,
}

/// Reads the places, with four calls at the same time.
pub async fn places(api: &impl Api) -> Result<Places, Error> {
    let describe = |operation| async move { api.call(&Call::new(operation, json!({}))).await };
    let (clusters, vpcs, subnets, tables) = tokio::join!(
        list_clusters(api),
        describe(Operation::DescribeVpcs),
        describe(Operation::DescribeSubnets),
        describe(Operation::DescribeRouteTables),
    );

    let (vpcs, subnets, tables) = (vpcs?, subnets?, tables?);

    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let vpcs = items(&vpcs["vpcSet"]).map(|vpc| Vpc {
        id: text(vpc, "vpcId"),
        block: text(vpc, "cidrBlock"),
        name: name(vpc),
    });

    let subnets = items(&subnets["subnetSet"]).map(|subnet| Subnet {
        id: text(subnet, "subnetId"),
        vpc: text(subnet, "vpcId"),
        zone: text(subnet, "availabilityZone"),
        name: name(subnet),
        kind: kind(&tables["routeTableSet"], subnet),
    });

    let mut places = Places {
        clusters: clusters?,
        vpcs: vpcs.collect(),
        subnets: subnets.collect(),
    };

    places.clusters.sort();
    places
        .subnets
        .sort_by(|a, b| (&a.zone, &a.id).cmp(&(&b.zone, &b.id)));
    Ok(places)
}

impl Places {
    /// Returns the subnets to choose in a VPC: one of each availability zone, private ones if there are any.
    pub fn suggested_subnets(&self, vpc: &str) -> Vec<&Subnet> {
        let of_kind = |kind| {
            let mut found: Vec<&Subnet> = self
                .subnets
                .iter()
                .filter(|subnet| subnet.vpc == vpc && subnet.kind == kind)
                .collect();
            found.dedup_by(|a, b| a.zone == b.zone);
            found
        };

        // Tasks in private subnets cannot be connected to from the internet.
        let kinds = [
            SubnetKind::Private,
            SubnetKind::Public,
            SubnetKind::Isolated,
        ];

        let mut found = kinds.into_iter().map(of_kind);
        found
            .find(|subnets| !subnets.is_empty())
            .unwrap_or_default()
    }
}

async fn list_clusters(api: &impl Api) -> Result<Vec<String>, Error> {
    let (mut clusters, mut body) = (Vec::new(), json!({}));
    for _ in 0..MAX_PAGES {
        let page = api
            .call(&Call::new(Operation::ListClusters, body.clone()))
            .await?;
        let arns = items(&page["clusterArns"]).filter_map(Value::as_str);
        clusters.extend(arns.filter_map(|arn| arn.rsplit('/').next().map(str::to_owned)));
        match page["nextToken"].as_str() {
            Some(token) => body["nextToken"] = token.into(),
            None => break,
        }
    }
    Ok(clusters)
}

/// Returns where the default route of a subnet leads.
fn kind(tables: &Value, subnet: &Value) -> SubnetKind {
    // The main table is that of the subnet's VPC.
    let own = items(tables).filter(|table| table["vpcId"] == subnet["vpcId"]);
    let own: Value = own.cloned().collect();
    let id = subnet["subnetId"].as_str().unwrap_or_default();
    match table_of(&own, id).map(exit_of) {
        Some(Exit::InternetGateway) => SubnetKind::Public,
        Some(Exit::Nat(_) | Exit::Other(_)) => SubnetKind::Private,
        Some(Exit::Blackhole(_) | Exit::None) | None => SubnetKind::Isolated,
    }
}

fn name(value: &Value) -> Option<String> {
    let tag = items(&value["tagSet"]).find(|tag| tag["key"] == "Name")?;
    tag["value"].as_str().map(str::to_owned)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A page has 100 clusters.
const MAX_PAGES: usize = 20;
