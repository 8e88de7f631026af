//! Renders a sizing as JSON.

use serde_json::{Value, json};

use super::{Choice, ContainerSize, SizeConstraint, Sizing, TaskCount};
use crate::plan::Size;
use crate::prices::{Machine, Price, Prices};

impl Sizing {
    /// Returns the same data as the text. Prices are in US dollars per hour.
    pub fn json(&self, prices: &Prices) -> Value {
        let offer = |size: Size| self.offer(size, prices);
        // Without a smaller size both keys are null.
        let smaller = self.smaller.as_ref();
        json!({
            "name": self.name,
            "machine": self.billed.machine.as_str(),
            "region": self.region,
            "containers": self.containers.iter().map(container).collect::<Vec<_>>(),
            "sum": size(self.sum),
            "choice": match self.choice {
                Choice::Smallest => "smallest",
                Choice::Explicit => "explicit",
            },
            "size": offer(self.billed.size),
            "smaller": smaller.map(|smaller| offer(smaller.size)),
            "constraints": smaller.map(|smaller| smaller.constraints.iter().map(constraint).collect::<Vec<_>>()),
            "larger": self.larger.map(offer),
            "tasks": match self.tasks {
                TaskCount::Service { min, max } => json!({ "min": min, "max": max }),
                TaskCount::OnDemand => json!("on_demand"),
                TaskCount::Unknown => Value::Null,
            },
            "prices": { "date": prices.file().date, "source": prices.file().source, "note": prices.file().note },
        })
    }

    fn offer(&self, task_size: Size, prices: &Prices) -> Value {
        let mut offer = size(task_size);
        // `null` where the price table has no entry, so that every key is always there.
        for machine in [Machine::X86, Machine::Arm, Machine::Windows] {
            let price = prices.price(
                self.billed.with_size(task_size).with_machine(machine),
                &self.region,
            );
            offer[machine.as_str()] = price.as_ref().map_or(Value::Null, hourly_price);
        }
        offer
    }
}

fn size(Size { cpu, memory }: Size) -> Value {
    json!({ "cpu": cpu, "memory": memory })
}

fn container(container: &ContainerSize) -> Value {
    let ContainerSize {
        name,
        cpu,
        memory,
        cpu_share,
        memory_share,
        weight,
    } = container;

    json!({
        "name": name,
        "floor": { "cpu": cpu, "memory": memory },
        "share": { "cpu": cpu_share, "memory": memory_share },
        "weight": weight,
    })
}

fn constraint(constraint: &SizeConstraint) -> Value {
    let SizeConstraint {
        resource,
        container,
        required,
        sum,
        excess,
    } = constraint;
    json!({
    "resource": resource.as_str(),
    "container": container,
    "required": required,
    "sum": sum,
    "excess": excess,
    })
}

fn hourly_price(price: &Price) -> Value {
    let Price {
        hour,
        spot,
        missing,
        region,
        ..
    } = price;
    json!({ "on_demand": hour, "spot": spot, "missing": missing, "region": region })
}
