//! A sizing as text for people.

use std::fmt::Write as _;

use task_definition::fargate_sizes;

use super::{Ask, Choice, SizeConstraint, Sizing, TaskCount};
use crate::plan::Size;
use crate::prices::{HOURS, Machine, Price, Prices};

impl Sizing {
    /// Tables of containers and of sizes, and sentences about what stands between.
    pub fn text(&self, prices: &Prices) -> String {
        let mut text = format!(
            "{}: {} on {}\n\n",
            self.name,
            self.billed.size,
            self.billed.machine.as_str()
        );

        text += &columns(&self.asks());
        text.push('\n');
        for sentence in self.sentences(prices) {
            let _ = writeln!(text, "{sentence}");
        }

        let _ = write!(text, "\n{}", columns(&self.offers(prices)));
        for sentence in self.footing(prices) {
            let _ = write!(text, "\n{sentence}");
        }

        text + "\n"
    }

    fn asks(&self) -> Vec<Vec<String>> {
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

        for Ask {
            name,
            cpu,
            memory,
            cpu_share,
            memory_share,
            weight,
        } in &self.containers
        {
            let numbers = [cpu, cpu_share, memory, memory_share, weight].map(|one| number(*one));
            rows.push([vec![name.clone()], numbers.to_vec()].concat());
        }

        let sum = |of: fn(&Ask) -> Option<u32>| self.containers.iter().filter_map(of).sum::<u32>();
        let sums = [
            self.sum.cpu,
            sum(|ask| ask.cpu_share),
            self.sum.memory,
            sum(|ask| ask.memory_share),
        ];

        let sums = sums.map(|sum| sum.to_string()).to_vec();
        rows.push([vec!["together".to_owned()], sums].concat());
        rows
    }

    /// What set the size, and what would bring it down.
    fn sentences(&self, prices: &Prices) -> Vec<String> {
        if !is_sold(self.billed.size) {
            return vec![self.unsold()];
        }

        let unsaid: Vec<String> = self
            .containers
            .iter()
            .filter_map(|ask| match (ask.cpu, ask.memory) {
                (Some(_), Some(_)) => None,
                (None, Some(_)) => Some(format!("{} says no cpu", ask.name)),
                (Some(_), None) => Some(format!("{} says no memory", ask.name)),
                (None, None) => Some(format!("{} says neither cpu nor memory", ask.name)),
            })
            .collect();

        if !unsaid.is_empty() {
            return vec![format!(
                "{}, so what the task needs is not known",
                unsaid.join("; ")
            )];
        }

        let Some(push) = &self.push else {
            return vec!["this is the smallest size that there is".to_owned()];
        };
        let saved = self.saved(push.to, prices);

        if push.because.is_empty() {
            let Size { cpu, memory } = self.sum;
            return vec![format!(
                "the containers ask for {cpu} CPU units and {memory} MiB, which {} would hold{saved}",
                push.to
            )];
        }

        let mut sentences: Vec<String> = push.because.iter().map(asks).collect();
        let less: Vec<String> = push
            .because
            .iter()
            .map(|one| format!("{} {}", one.less, one.resource.unit()))
            .collect();

        sentences.push(format!(
            "{} less would fit {}{saved}",
            less.join(" and "),
            push.to
        ));
        if self.choice == Choice::Written {
            sentences.insert(0, "this size was written down".to_owned());
        }

        sentences
    }

    fn unsold(&self) -> String {
        let Size { cpu, memory } = self.billed.size;
        let nearest = fargate_sizes::smallest(cpu.max(self.sum.cpu), memory.max(self.sum.memory));
        let nearest = nearest.map(|fargate_sizes::Size { cpu, memory }| Size { cpu, memory });
        let hint = nearest.map_or(String::new(), |size| format!("; it sells {size}"));
        format!("Fargate does not sell this size{hint}")
    }

    /// `: $18.02 less a month`.
    fn saved(&self, to: Size, prices: &Prices) -> String {
        let price = |size| prices.price(self.billed.with_size(size), &self.region);
        let (now, then) = (price(self.billed.size), price(to));
        now.zip(then).map_or(String::new(), |(now, then)| {
            let saved = now.hour - then.hour;
            format!(": {} less {}", self.money(saved), self.unit())
        })
    }

    /// The size, its neighbours, and what each of them costs on each kind of machine.
    fn offers(&self, prices: &Prices) -> Vec<Vec<String>> {
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
        let smaller = self.push.as_ref().map(|push| ("smaller", push.to));
        let larger = self.larger.map(|size| ("larger", size));

        for (word, size) in smaller
            .into_iter()
            .chain([("this", self.billed.size)])
            .chain(larger)
        {
            let mut row = vec![format!("{word:7}  {size}")];
            for machine in machines {
                let price = prices.price(
                    self.billed.with_size(size).with_machine(*machine),
                    &self.region,
                );
                let price = price.filter(|_| is_sold(size));
                row.push(
                    price
                        .as_ref()
                        .map_or("-".to_owned(), |price| self.amount(price)),
                );
                let spot = price.and_then(|price| price.spot);
                row.push(spot.map_or("-".to_owned(), |spot| self.money(spot)));
            }
            rows.push(row);
        }

        rows
    }

    /// What the whole costs, and whose prices these are.
    fn footing(&self, prices: &Prices) -> Vec<String> {
        let Some(price) = prices.price(self.billed, &self.region) else {
            return vec![format!(
                "the table has no price for {}",
                self.billed.machine.as_str()
            )];
        };

        let mut lines = Vec::new();
        match self.runs {
            _ if !is_sold(self.billed.size) => {}
            TaskCount::Service { min, max } if min == max => {
                lines.push(format!(
                    "{}: {} a month",
                    tasks(max),
                    dollars(price.month() * f64::from(max))
                ));
            }
            TaskCount::Service { min, max } => {
                let months = [min, max].map(|tasks| dollars(price.month() * f64::from(tasks)));
                lines.push(format!(
                    "{min} to {}: {} to {} a month",
                    tasks(max),
                    months[0],
                    months[1]
                ));
            }
            TaskCount::OnDemand => lines.push(format!(
                "a run is paid by the second, a minute at least: ${:.5}",
                price.hour / 60.0
            )),
            TaskCount::Unknown => {}
        }

        let whose = if price.region == self.region {
            String::new()
        } else {
            format!("; the table has none for {}", self.region)
        };

        lines.push(format!("prices of {}, {}{whose}", price.region, price.date));
        let file = prices.file();
        lines.extend(
            [&file.note, &file.source]
                .into_iter()
                .filter(|one| !one.is_empty())
                .cloned(),
        );

        lines
    }

    /// A price, with a `+` where something is not in it.
    fn amount(&self, price: &Price) -> String {
        let more = if price.lacks.is_empty() {
            String::new()
        } else {
            format!(" + {}", price.lacks.join(", "))
        };
        self.money(price.hour) + &more
    }

    /// By the month, or by the hour for a task that ends.
    fn money(&self, hour: f64) -> String {
        match self.runs {
            TaskCount::OnDemand => format!("${hour:.4}"),
            _ => dollars(hour * HOURS),
        }
    }

    fn unit(&self) -> &'static str {
        match self.runs {
            TaskCount::OnDemand => "an hour",
            _ => "a month",
        }
    }
}

fn asks(
    SizeConstraint {
        resource,
        container,
        asks,
        sum,
        ..
    }: &SizeConstraint,
) -> String {
    format!(
        "{container} asks for {asks} of the {sum} {}",
        resource.unit()
    )
}

fn is_sold(Size { cpu, memory }: Size) -> bool {
    fargate_sizes::is_sold(fargate_sizes::Size { cpu, memory })
}

fn tasks(count: u32) -> String {
    match count {
        1 => "1 task".to_owned(),
        many => format!("{many} tasks"),
    }
}

fn dollars(amount: f64) -> String {
    format!("${amount:.2}")
}

/// Columns as wide as their widest cell; all but the first are numbers, and stand to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
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
