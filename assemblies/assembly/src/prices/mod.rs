//! What a task costs, from a dated table that can be replaced.

use std::sync::LazyLock;

use task_definition::source::{self, Source};
use task_definition::{Finding, Place, TaskDefinition};

use crate::manifest::Architecture;
use crate::plan::{Size, size_of};
use crate::{decode, rules};

mod file;
pub use file::{PricesFile, Rate, RegionPrices};

/// A table of prices that fits its form.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    file: PricesFile,
}

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BilledResources {
    /// The Fargate size.
    pub size: Size,
    /// The kind of machine.
    pub machine: Machine,
    /// GB of ephemeral storage above those that come with every task.
    pub storage: u32,
}

/// The kinds of machine that have a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Linux on Intel and AMD.
    X86,
    /// Linux on Graviton.
    Arm,
    /// Windows.
    Windows,
}

/// What one task costs, without traffic, addresses and logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// US dollars an hour, On-Demand.
    pub hour: f64,
    /// US dollars an hour on Spot, if the table knows.
    pub spot: Option<f64>,
    /// What is not in the price, as the table has none for it: `memory`.
    pub lacks: Vec<&'static str>,
    /// The region whose price it is.
    pub region: String,
    /// When the table was made.
    pub date: String,
}

impl Prices {
    /// Reads a table of prices.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let (file, mut findings) = decode::read::<PricesFile>(source, &node);
        if file.as_ref().is_some_and(|file| file.regions.is_empty()) && findings.is_empty() {
            let span = node
                .get("regions")
                .map_or(node.span, |regions| regions.span);
            let place = Place::in_text(source, span);
            findings.push(rules::m03_missing_field::missing_field(
                place,
                "regions.us-east-1",
            ));
        }

        match file {
            Some(file) if findings.is_empty() => Ok(Self { file }),
            _ => Err(findings),
        }
    }

    /// The table that comes with this library.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The table itself.
    pub fn file(&self) -> &PricesFile {
        &self.file
    }

    /// The price of a task in a region; where the table has no such region, that of another.
    pub fn price(&self, billed: BilledResources, region: &str) -> Option<Price> {
        let regions = &self.file.regions;
        let known = regions
            .get_key_value(region)
            .or_else(|| regions.get_key_value(OTHERWISE))
            .or_else(|| regions.first_key_value());
        let (region, prices) = known?;
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
        let mut lacks = Vec::new();

        if rate.gb.is_none() {
            lacks.push("memory");
        }
        if billed.storage > 0 && prices.storage.is_none() {
            lacks.push("storage");
        }

        Some(Price {
            hour: machine + storage,
            spot: rate.spot.map(|part| machine * part + storage),
            lacks,
            region: region.clone(),
            date: self.file.date.clone(),
        })
    }
}

impl Price {
    /// US dollars for a month of 730 hours, On-Demand.
    pub fn month(&self) -> f64 {
        self.hour * HOURS
    }
}

/// The hours of a month, as AWS counts them.
pub const HOURS: f64 = 730.0;

impl BilledResources {
    /// What is paid for when this definition runs.
    pub fn from_definition(definition: &TaskDefinition) -> Self {
        let storage = definition.ephemeral_storage.as_ref();
        let gigabytes = storage.map_or(0, |storage| i64::from(storage.size_in_gib));
        Self {
            size: size_of(definition),
            machine: Machine::from_definition(definition),
            storage: u32::try_from(gigabytes - INCLUDED).unwrap_or(0),
        }
    }

    /// The same in another size.
    pub fn with_size(self, size: Size) -> Self {
        Self { size, ..self }
    }

    /// The same on another kind of machine.
    pub fn with_machine(self, machine: Machine) -> Self {
        Self { machine, ..self }
    }
}

/// GB of ephemeral storage that come with every task.
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

    /// The word that the table has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => Architecture::X86.as_str(),
            Self::Arm => Architecture::Arm.as_str(),
            Self::Windows => "WINDOWS",
        }
    }
}

/// Whose price is shown where there is none.
const OTHERWISE: &str = "us-east-1";

/// A plain file, so that it can be replaced when prices change; a test holds it to its form.
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
    use task_definition::Color;

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
    fn multiplies_as_the_price_list_does() {
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
    fn says_what_is_not_in_a_price() {
        let size = Size {
            cpu: 1024,
            memory: 2048,
        };
        let windows = BilledResources {
            size,
            machine: Machine::Windows,
            storage: 0,
        };
        let price = Prices::built_in()
            .price(windows, "us-east-1")
            .expect("a price");

        assert_eq!(price.lacks, ["memory"]);
        assert_eq!(format!("{:.5}", price.hour), "0.13748");
        assert_eq!(price.spot, None);
    }

    #[test]
    fn says_whose_price_it_is_where_the_table_has_none() {
        let price = Prices::built_in().price(SMALLEST, "mars-north-1");
        assert_eq!(
            price.map(|price| price.region).as_deref(),
            Some("us-east-1")
        );
    }

    #[test]
    fn a_wrong_table_is_told_line_by_line() {
        let text = "date: 2026\nregions:\n  us-east-1:\n    X86_64: { vcpu: cheap, gb: -1 }\n    ARM: { vcpu: 1 }\n";
        let findings = Prices::read(&Source::new("prices.yaml", text)).expect_err("findings");
        let told: Vec<String> = findings.iter().map(|one| one.render(Color::No)).collect();
        let told = told.concat();

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
            assert!(told.contains(line), "{line}\n{told}");
        }
    }

    #[test]
    fn a_table_without_regions_is_none() {
        let source = Source::new("prices.yaml", "date: '2026'\nregions: {}\n");
        assert_eq!(Prices::read(&source).expect_err("a finding").len(), 1);
    }
}
