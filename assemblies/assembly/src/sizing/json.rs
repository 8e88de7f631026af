//! A sizing as JSON for programs.

use serde_json::{Value, json};

use super::{Ask, Choice, SizeConstraint, Sizing, TaskCount};
use crate::plan::Size;
use crate::prices::{Machine, Price, Prices};

impl Sizing {
    /// Everything the text says, as data. Prices are US dollars an hour.
    pub fn json(&self, prices: &Prices) -> Value {
        let offer = |size: Size| self.offer(size, prices);
        let smaller = self.push.as_ref();
        json!({
            "name": self.name,
            "machine": self.billed.machine.as_str(),
            "region": self.region,
            "containers": self.containers.iter().map(container).collect::<Vec<_>>(),
            "sum": size(self.sum),
            "choice": match self.choice {
                Choice::Smallest => "smallest",
                Choice::Written => "written",
            },
            "size": offer(self.billed.size),
            "smaller": smaller.map(|push| offer(push.to)),
            "because": smaller.map(|push| push.because.iter().map(because).collect::<Vec<_>>()),
            "larger": self.larger.map(offer),
            "tasks": match self.runs {
                TaskCount::Service { min, max } => json!({ "min": min, "max": max }),
                TaskCount::OnDemand => json!("on_demand"),
                TaskCount::Unknown => Value::Null,
            },
            "prices": { "date": prices.file().date, "source": prices.file().source, "note": prices.file().note },
        })
    }

    fn offer(&self, of: Size, prices: &Prices) -> Value {
        let mut offer = size(of);
        for machine in [Machine::X86, Machine::Arm, Machine::Windows] {
            let price = prices.price(
                self.billed.with_size(of).with_machine(machine),
                &self.region,
            );
            offer[machine.as_str()] = price.as_ref().map_or(Value::Null, hourly);
        }
        offer
    }
}

fn size(Size { cpu, memory }: Size) -> Value {
    json!({ "cpu": cpu, "memory": memory })
}

fn container(ask: &Ask) -> Value {
    let Ask {
        name,
        cpu,
        memory,
        cpu_share,
        memory_share,
        weight,
    } = ask;

    json!({
        "name": name,
        "floor": { "cpu": cpu, "memory": memory },
        "share": { "cpu": cpu_share, "memory": memory_share },
        "weight": weight,
    })
}

fn because(one: &SizeConstraint) -> Value {
    let SizeConstraint {
        resource,
        container,
        asks,
        sum,
        less,
    } = one;
    json!({ "resource": resource.as_str(), "container": container, "asks": asks, "sum": sum, "less": less })
}

fn hourly(price: &Price) -> Value {
    let Price {
        hour,
        spot,
        lacks,
        region,
        ..
    } = price;
    json!({ "on_demand": hour, "spot": spot, "lacks": lacks, "region": region })
}
