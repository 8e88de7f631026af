//! Renders a sizing as text.

use std::fmt::Write as _;

use task_definition::fargate_sizes;

use super::{Choice, ContainerSize, SizeConstraint, Sizing, TaskCount};
use crate::plan::Size;
use crate::prices::{HOURS, Machine, Price, Prices};

impl Sizing {
    /// Returns a table of the containers, the reasons for the size, and a table of sizes with prices.
    pub fn text(&self, prices: &Prices) -> String {
        let mut text = format!(
            "{}: {} on {}\n\n",
            self.name,
            self.billed.size,
            self.billed.machine.as_str()
        );

        text += &columns(&self.container_rows());
        text.push('\n');
        for sentence in self.explanation(prices) {
            let _ = writeln!(text, "{sentence}");
        }

        // Prices follow the reasons: readers first see why, then how much.
        let _ = write!(text, "\n{}", columns(&self.size_rows(prices)));
        for sentence in self.footer(prices) {
            let _ = write!(text, "\n{sentence}");
        }

        text + "\n"
    }

    fn container_rows(&self) -> Vec<Vec<String>> {
        let headings = [
            "container",
            "CPU floor",
            "share",
            "MiB floor",
            "share",
            "weight",
        ];

        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        let number =
            |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());

        for ContainerSize {
            name,
            cpu,
            memory,
            cpu_share,
            memory_share,
            weight,
        } in &self.containers
        {
            let numbers =
                [cpu, cpu_share, memory, memory_share, weight].map(|amount| number(*amount));
            rows.push([vec![name.clone()], numbers.to_vec()].concat());
        }

        let sum = |field: fn(&ContainerSize) -> Option<u32>| {
            self.containers.iter().filter_map(field).sum::<u32>()
        };
        let sums = [
            self.sum.cpu,
            sum(|container| container.cpu_share),
            self.sum.memory,
            sum(|container| container.memory_share),
        ];

        // Weights are relative, so their sum would say nothing: the last column stays empty.
        let sums = sums.map(|sum| sum.to_string()).to_vec();
        rows.push([vec!["total".to_owned()], sums].concat());
        rows
    }

    /// Returns sentences about the reason for the size, and the way to a smaller one.
    fn explanation(&self, prices: &Prices) -> Vec<String> {
        if !is_supported(self.billed.size) {
            return vec![self.unsupported_size()];
        }

        let missing: Vec<String> = self
            .containers
            .iter()
            .filter_map(|container| match (container.cpu, container.memory) {
                (Some(_), Some(_)) => None,
                (None, Some(_)) => Some(format!("{} sets no cpu", container.name)),
                (Some(_), None) => Some(format!("{} sets no memory", container.name)),
                (None, None) => Some(format!("{} sets neither cpu nor memory", container.name)),
            })
            .collect();

        // Without all requirements a recommendation would be a guess.
        if !missing.is_empty() {
            return vec![format!(
                "{}, so the size that the task needs is not known",
                missing.join("; ")
            )];
        }

        let Some(smaller) = &self.smaller else {
            return vec!["this is the smallest size of all".to_owned()];
        };
        let savings = self.savings(smaller.size, prices);

        if smaller.constraints.is_empty() {
            let Size { cpu, memory } = self.sum;
            return vec![format!(
                "the containers require {cpu} CPU units and {memory} MiB, which fit {}{savings}",
                smaller.size
            )];
        }

        let mut sentences: Vec<String> = smaller
            .constraints
            .iter()
            .map(describe_constraint)
            .collect();
        let excess: Vec<String> = smaller
            .constraints
            .iter()
            .map(|constraint| format!("{} {}", constraint.excess, constraint.resource.unit()))
            .collect();

        sentences.push(format!(
            "{} less would fit {}{savings}",
            excess.join(" and "),
            smaller.size
        ));
        if self.choice == Choice::Explicit {
            sentences.insert(0, "this size is set explicitly".to_owned());
        }

        sentences
    }

    fn unsupported_size(&self) -> String {
        let Size { cpu, memory } = self.billed.size;
        let nearest = fargate_sizes::smallest(cpu.max(self.sum.cpu), memory.max(self.sum.memory));
        let nearest = nearest.map(|fargate_sizes::Size { cpu, memory }| Size { cpu, memory });
        let hint = nearest.map_or(String::new(), |size| format!("; the nearest is {size}"));
        format!("Fargate does not support this size{hint}")
    }

    /// Returns the savings with another size: `: $18.02 less a month`.
    fn savings(&self, other: Size, prices: &Prices) -> String {
        let price = |size| prices.price(self.billed.with_size(size), &self.region);
        let (now, then) = (price(self.billed.size), price(other));
        now.zip(then).map_or(String::new(), |(now, then)| {
            let savings = now.hour - then.hour;
            format!(": {} less {}", self.format_money(savings), self.unit())
        })
    }

    /// Returns rows for the size and its neighbours, with their prices by architecture.
    fn size_rows(&self, prices: &Prices) -> Vec<Vec<String>> {
        // The containers of a Linux task can move between x86 and ARM, those of Windows cannot.
        let machines: &[Machine] = match self.billed.machine {
            Machine::Windows => &[Machine::Windows],
            _ => &[Machine::X86, Machine::Arm],
        };

        let mut headings = vec![format!("one task, {}", self.unit())];
        for machine in machines {
            headings.push(machine.as_str().to_owned());
            headings.push("on Spot".to_owned());
        }

        let mut rows = vec![headings];
        let smaller = self
            .smaller
            .as_ref()
            .map(|smaller| ("smaller", smaller.size));
        let larger = self.larger.map(|size| ("larger", size));

        for (label, size) in smaller
            .into_iter()
            .chain([("this", self.billed.size)])
            .chain(larger)
        {
            let mut row = vec![format!("{label:7}  {size}")];
            for machine in machines {
                let price = prices.price(
                    self.billed.with_size(size).with_machine(*machine),
                    &self.region,
                );
                let price = price.filter(|_| is_supported(size));
                row.push(
                    price
                        .as_ref()
                        .map_or("-".to_owned(), |price| self.format_price(price)),
                );
                let spot = price.and_then(|price| price.spot);
                row.push(spot.map_or("-".to_owned(), |spot| self.format_money(spot)));
            }
            rows.push(row);
        }

        rows
    }

    /// Returns the cost of all tasks, and the source of the prices.
    fn footer(&self, prices: &Prices) -> Vec<String> {
        let Some(price) = prices.price(self.billed, &self.region) else {
            return vec![format!(
                "the table has no price for {}",
                self.billed.machine.as_str()
            )];
        };

        let mut lines = Vec::new();
        match self.tasks {
            _ if !is_supported(self.billed.size) => {}
            TaskCount::Service { min, max } if min == max => {
                lines.push(format!(
                    "{}: {} a month",
                    format_tasks(max),
                    dollars(price.month() * f64::from(max))
                ));
            }
            TaskCount::Service { min, max } => {
                let months = [min, max].map(|tasks| dollars(price.month() * f64::from(tasks)));
                lines.push(format!(
                    "{min} to {}: {} to {} a month",
                    format_tasks(max),
                    months[0],
                    months[1]
                ));
            }
            TaskCount::OnDemand => lines.push(format!(
                // Fargate bills per second with a minimum of one minute.
                "a run is billed per second, at least one minute: ${:.5}",
                price.hour / 60.0
            )),
            TaskCount::Unknown => {}
        }

        let fallback = if price.region == self.region {
            String::new()
        } else {
            format!("; the table has none for {}", self.region)
        };

        lines.push(format!(
            "prices of {}, {}{fallback}",
            price.region, price.date
        ));
        let file = prices.file();
        lines.extend(
            [&file.note, &file.source]
                .into_iter()
                .filter(|text| !text.is_empty())
                .cloned(),
        );

        lines
    }

    /// Formats a price, with a `+` and the resources that it does not include.
    fn format_price(&self, price: &Price) -> String {
        let more = if price.missing.is_empty() {
            String::new()
        } else {
            format!(" + {}", price.missing.join(", "))
        };
        self.format_money(price.hour) + &more
    }

    /// Formats an amount per month, or per hour for an on-demand task.
    fn format_money(&self, hour: f64) -> String {
        match self.tasks {
            TaskCount::OnDemand => format!("${hour:.4}"),
            _ => dollars(hour * HOURS),
        }
    }

    fn unit(&self) -> &'static str {
        match self.tasks {
            TaskCount::OnDemand => "an hour",
            _ => "a month",
        }
    }
}

fn describe_constraint(
    SizeConstraint {
        resource,
        container,
        required,
        sum,
        ..
    }: &SizeConstraint,
) -> String {
    format!(
        "{container} requires {required} of the {sum} {}",
        resource.unit()
    )
}

fn is_supported(Size { cpu, memory }: Size) -> bool {
    fargate_sizes::is_supported(fargate_sizes::Size { cpu, memory })
}

fn format_tasks(count: u32) -> String {
    match count {
        1 => "1 task".to_owned(),
        many => format!("{many} tasks"),
    }
}

fn dollars(amount: f64) -> String {
    format!("${amount:.2}")
}

/// Aligns columns: the first to the left, the others, which are numbers, to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    // Counted in characters, since `·` has two bytes.
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };

    rows.iter().map(line).collect()
}
