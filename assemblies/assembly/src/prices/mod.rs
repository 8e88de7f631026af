//! Prices of tasks, from a dated table that can be replaced.

use std::sync::LazyLock;

use diagnostics::source::{self, Source};
use diagnostics::{Finding, Location};
use task_definition::TaskDefinition;

use crate::manifest::Architecture;
use crate::plan::{Size, size_of};
use crate::{decode, rules};

mod file;
pub use file::{PricesFile, Rate, RegionPrices};

/// A valid price table.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    file: PricesFile,
}

/// The resources that a task is billed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BilledResources {
    /// The Fargate size.
    pub size: Size,
    /// The operating system and architecture.
    pub machine: Machine,
    /// GB of ephemeral storage above the included 20 GB.
    pub storage: u32,
}

/// The combinations of operating system and architecture that have a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Linux on Intel and AMD.
    X86,
    /// Linux on Graviton.
    Arm,
    /// Windows.
    Windows,
}

/// The price of one task, without traffic, IP addresses and logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// US dollars per hour, On-Demand.
    pub hour: f64,
    /// US dollars per hour on Spot, if the table has a Spot price.
    pub spot: Option<f64>,
    /// The resources without a price in the table: `memory`.
    pub missing: Vec<&'static str>,
    /// The region of the price.
    pub region: String,
    /// The date of the table.
    pub date: String,
}

impl Prices {
    /// Parses a price table.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let (file, mut findings) = decode::read::<PricesFile>(source, &node);
        // The schema cannot require an entry in a map, so an empty one is checked here.
        if file.as_ref().is_some_and(|file| file.regions.is_empty()) && findings.is_empty() {
            let span = node
                .get("regions")
                .map_or(node.span, |regions| regions.span);
            let location = Location::from_span(source, span);
            findings.push(rules::m03_missing_field::missing_field(
                location,
                "regions.us-east-1",
            ));
        }

        match file {
            Some(file) if findings.is_empty() => Ok(Self { file }),
            _ => Err(findings),
        }
    }

    /// Returns the built-in table.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Returns the table's contents.
    pub fn file(&self) -> &PricesFile {
        &self.file
    }

    /// Returns the price of a task in a region, or in another region if the table does not have it.
    ///
    /// Returns `None` if the table has no price for the machine.
    pub fn price(&self, billed: BilledResources, region: &str) -> Option<Price> {
        let regions = &self.file.regions;
        let entry = regions
            .get_key_value(region)
            .or_else(|| regions.get_key_value(FALLBACK_REGION))
            .or_else(|| regions.first_key_value());
        let (region, prices) = entry?;
        let rate = match billed.machine {
            Machine::X86 => prices.x86,
            Machine::Arm => prices.arm,
            Machine::Windows => prices.windows,
        }?;

        let cpus = f64::from(billed.size.cpu) / 1024.0;
        let gigabytes = f64::from(billed.size.memory) / 1024.0;
        let machine =
            cpus * (rate.vcpu + rate.licence.unwrap_or(0.0)) + gigabytes * rate.gb.unwrap_or(0.0);
        let storage = f64::from(billed.storage) * prices.storage.unwrap_or(0.0);
        let mut missing = Vec::new();

        if rate.gb.is_none() {
            missing.push("memory");
        }
        if billed.storage > 0 && prices.storage.is_none() {
            missing.push("storage");
        }

        Some(Price {
            hour: machine + storage,
            // Spot discounts vCPU and memory, not ephemeral storage.
            spot: rate.spot.map(|part| machine * part + storage),
            missing,
            region: region.clone(),
            date: self.file.date.clone(),
        })
    }
}

impl Price {
    /// Returns the On-Demand price of a month of 730 hours, in US dollars.
    pub fn month(&self) -> f64 {
        self.hour * HOURS
    }
}

/// The hours of a month in AWS's price calculator.
pub const HOURS: f64 = 730.0;

impl BilledResources {
    /// Returns the billed resources of a task definition.
    pub fn from_definition(definition: &TaskDefinition) -> Self {
        let storage = definition.ephemeral_storage.as_ref();
        let gigabytes = storage.map_or(0, |storage| i64::from(storage.size_in_gib));
        Self {
            size: size_of(definition),
            machine: Machine::from_definition(definition),
            storage: u32::try_from(gigabytes - INCLUDED).unwrap_or(0),
        }
    }

    /// Returns the resources with another size.
    pub fn with_size(self, size: Size) -> Self {
        Self { size, ..self }
    }

    /// Returns the resources on another machine.
    pub fn with_machine(self, machine: Machine) -> Self {
        Self { machine, ..self }
    }
}

/// The GB of ephemeral storage included with every task.
const INCLUDED: i64 = 20;

impl Machine {
    fn from_definition(definition: &TaskDefinition) -> Self {
        let platform = definition.runtime_platform.as_ref();
        let family = platform.and_then(|platform| platform.operating_system_family.as_deref());
        let processor = platform.and_then(|platform| platform.cpu_architecture.as_deref());
        match (family, processor) {
            (Some(family), _) if family.starts_with("WINDOWS") => Self::Windows,
            (_, Some("ARM64")) => Self::Arm,
            _ => Self::X86,
        }
    }

    /// Returns the machine's name in the price table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => Architecture::X86.as_str(),
            Self::Arm => Architecture::Arm.as_str(),
            Self::Windows => "WINDOWS",
        }
    }
}

/// The region that provides the prices for regions that the table does not have.
const FALLBACK_REGION: &str = "us-east-1";

/// The built-in table. A test checks that it parses.
static BUILT_IN: LazyLock<Prices> = LazyLock::new(|| {
    let source = Source::new(
        "fargate-prices.yaml",
        include_str!("../../data/fargate-prices.yaml"),
    );
    Prices::read(&source).unwrap_or(Prices {
        file: PricesFile {
            date: String::new(),
            source: String::new(),
            note: String::new(),
            regions: [].into(),
        },
    })
});

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostics::Color;

    const SMALLEST: BilledResources = BilledResources {
        size: Size {
            cpu: 256,
            memory: 512,
        },
        machine: Machine::X86,
        storage: 0,
    };

    fn month(billed: BilledResources) -> String {
        let price = Prices::built_in()
            .price(billed, "us-east-1")
            .expect("a price");
        format!("{:.2}", price.month())
    }

    #[test]
    fn computes_the_listed_prices() {
        // 0.25 × 0.04048 + 0.5 × 0.004445 = 0.0123425 an hour.
        assert_eq!(month(SMALLEST), "9.01");
        assert_eq!(month(SMALLEST.with_machine(Machine::Arm)), "7.21");

        // 10 GB × 0.000111 × 730 = 0.81.
        assert_eq!(
            month(BilledResources {
                storage: 10,
                ..SMALLEST
            }),
            "9.82"
        );
    }

    #[test]
    fn lists_the_resources_without_a_price() {
        let size = Size {
            cpu: 1024,
            memory: 2048,
        };
        // The built-in table has no memory price for Windows.
        let windows = BilledResources {
            size,
            machine: Machine::Windows,
            storage: 0,
        };
        let price = Prices::built_in()
            .price(windows, "us-east-1")
            .expect("a price");

        assert_eq!(price.missing, ["memory"]);
        assert_eq!(format!("{:.5}", price.hour), "0.13748");
        assert_eq!(price.spot, None);
    }

    #[test]
    fn falls_back_to_us_east_1() {
        let price = Prices::built_in().price(SMALLEST, "mars-north-1");
        assert_eq!(
            price.map(|price| price.region).as_deref(),
            Some("us-east-1")
        );
    }

    #[test]
    fn reports_every_error_of_a_table() {
        // One error of each kind: wrong type, wrong type in a map, value out of range, unknown key.
        let text = "date: 2026\nregions:\n  us-east-1:\n    X86_64: { vcpu: cheap, gb: -1 }\n    ARM: { vcpu: 1 }\n";
        let findings = Prices::read(&Source::new("prices.yaml", text)).expect_err("findings");
        let rendered: String = findings
            .iter()
            .map(|finding| finding.render(Color::No))
            .collect();

        for line in [
            "prices.yaml:1:7",
            "`date` must be text",
            "prices.yaml:4:21",
            "`regions.us-east-1.X86_64.vcpu` must be a number",
            "prices.yaml:4:32",
            "`regions.us-east-1.X86_64.gb` is -1",
            "prices.yaml:5:5",
            "there is no field `regions.us-east-1.ARM`",
        ] {
            assert!(rendered.contains(line), "{line}\n{rendered}");
        }
    }

    #[test]
    fn rejects_a_table_without_regions() {
        let source = Source::new("prices.yaml", "date: '2026'\nregions: {}\n");
        assert_eq!(Prices::read(&source).expect_err("a finding").len(), 1);
    }
}
