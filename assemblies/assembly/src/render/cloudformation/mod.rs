//! The stack of an assembly: everything it needs in AWS but the network and the cluster.
//!
//! The template is put together as JSON (`stack.rs`) and written as YAML with its reasons above each thing
//! (`yaml.rs`). What it says about the task is what `task-definition.json` says.

use crate::plan::{Plan, merge};

mod balancer;
mod bucket;
mod events;
mod network;
mod on_demand;
mod queue;
mod roles;
mod scaling;
mod service;
mod stack;
mod target_group;
mod task;
mod yaml;

use stack::Stack;

/// The template as text.
pub(super) fn text(plan: &Plan) -> String {
    let stack = stack(plan);
    let mut value = stack.value();
    if let Some(over) = &plan.wiring.assembly.manifest.file().stack {
        let over = serde_json::Value::Object(over.clone());
        merge::merge(&mut value, &over, "", "/stack", &mut |_, _| {});
    }
    HEAD.to_owned() + &stack.text(&value)
}

fn stack(plan: &Plan) -> Stack {
    let mut stack = Stack::new(description(plan));
    network::parameters(&mut stack, plan);
    task::add(&mut stack, plan);
    roles::add(&mut stack, plan);
    if let Some(on_demand) = plan.on_demand() {
        on_demand::add(&mut stack, plan, on_demand);
    }
    if let Some(service) = plan.service() {
        service::add(&mut stack, plan, service);
    }
    stack
}

const HEAD: &str = "# Made by `assemble render`; do not edit. Roles have names, so it is deployed with\n\
    # `aws cloudformation deploy --capabilities CAPABILITY_NAMED_IAM …`.\n";

fn description(plan: &Plan) -> String {
    if plan.summary().is_empty() {
        plan.name().to_owned()
    } else {
        format!("{}: {}", plan.name(), plan.summary())
    }
}
