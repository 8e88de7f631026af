//! What a size costs, from a dated table.

use task_definition::source::{self, Node, NodeValue, Source};

use super::Size;
use crate::manifest::Architecture;

/// What one task costs, On-Demand, without traffic, addresses and logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// US dollars an hour.
    pub hour: f64,
    /// The region whose price it is.
    pub region: String,
    /// When the table was made.
    pub date: String,
}

impl Price {
    /// US dollars for a month of 730 hours.
    pub fn month(&self) -> f64 {
        self.hour * HOURS
    }
}

/// The price of a size; in a region the table does not know, that of the table's first region.
pub(super) fn of(size: Size, architecture: Architecture, region: &str) -> Option<Price> {
    let source = Source::new("fargate-prices.yaml", TABLE);
    let table = source::parse(&source).ok()?;
    let regions = table.get("regions")?.entries();
    let known = regions.iter().find(|(key, _)| key.name == region);
    let (key, row) = known.or_else(|| regions.first())?;
    let row = row.get(architecture.word())?;
    let (vcpu, gigabyte) = (number(row.get("vcpu")?)?, number(row.get("gb")?)?);
    let (cpus, gigabytes) = (
        f64::from(size.cpu) / 1024.0,
        f64::from(size.memory) / 1024.0,
    );
    let hour = cpus * vcpu + gigabytes * gigabyte;
    let date = table.get("date")?.text()?.to_owned();
    Some(Price {
        hour,
        region: key.name.clone(),
        date,
    })
}

fn number(node: &Node) -> Option<f64> {
    match &node.value {
        NodeValue::Number(number) => number.as_f64(),
        _ => None,
    }
}

const HOURS: f64 = 730.0;

/// A plain file, so that it can be replaced when prices change.
const TABLE: &str = include_str!("../../data/fargate-prices.yaml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_as_the_price_list_does() {
        let price = of(
            Size {
                cpu: 256,
                memory: 512,
            },
            Architecture::X86,
            "us-east-1",
        );
        // 0.25 × 0.04048 + 0.5 × 0.004445 = 0.0123425 an hour.
        let month = price.map(|price| format!("{:.2}", price.month()));
        assert_eq!(month.as_deref(), Some("9.01"));
    }

    #[test]
    fn says_whose_price_it_is_where_the_table_has_none() {
        let price = of(
            Size {
                cpu: 256,
                memory: 512,
            },
            Architecture::Arm,
            "mars-north-1",
        );
        assert_eq!(
            price.map(|price| price.region).as_deref(),
            Some("us-east-1")
        );
    }
}
