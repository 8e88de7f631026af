//! An assembly with everything decided and every rule passed.

use task_definition::{Authority, Finding, Judged, Located, Silenced, TaskDefinition};

use crate::component::Component;
use crate::diagnostics::Diagnostics;
use crate::lock;
use crate::manifest::{LoadBalancer, OnDemand, Service};
use crate::prices::{BilledResources, Prices};
use crate::resolve::{AssemblyMember, Link, Role};
use crate::rule_config;
use crate::wire::{PublicPort, Wiring};

mod definition;
mod finished;
pub mod iam;
pub(crate) mod merge;
mod running;
pub(crate) mod share;

pub use crate::prices::Price;
pub(crate) use definition::LAST_WORDS;

/// The only thing that can be rendered, run or deployed.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) wiring: Wiring,
    pub(crate) definition: TaskDefinition,
    pub(crate) execution_role: Vec<iam::Statement>,
    pub(crate) task_role: Vec<iam::Statement>,
    size: Size,
    price: Option<Price>,
    outcome: Judged,
}

/// A Fargate size in words: `0.25 vCPU · 0.5 GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// CPU units; 1024 are a vCPU.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cpu, memory) = (
            f64::from(self.cpu) / 1024.0,
            f64::from(self.memory) / 1024.0,
        );
        f.pad(&format!("{cpu} vCPU · {memory} GB"))
    }
}

/// Sizes, permissions, the definition; then every rule.
pub fn plan(wiring: Wiring, mut diagnostics: Diagnostics) -> Result<Plan, Judged> {
    let made = iam::task::statements(&wiring.assembly).and_then(|(task_role, wildcards)| {
        let located = definition::definition(&wiring, &task_role)?;
        Ok((task_role, wildcards, located))
    });
    let (task_role, wildcards, mut located) = match made {
        Ok(made) => made,
        Err(findings) => {
            diagnostics.report_fatal(findings);
            return Err(diagnostics.finish());
        }
    };

    let mut findings = finished::judge(&wiring, &located);
    findings.extend(lock::pin(&mut located, wiring.assembly.values.lock()));

    // What M22 knows for sure of an assembly, P09 guesses of any definition.
    let known = |one: &Finding| {
        let mut said = findings.iter();
        one.rule == "P09" && said.any(|said| said.rule == "M22" && said.place == one.place)
    };
    let mut others = task_definition::check(&located);

    others.retain(|one| !known(one));
    findings.extend(others);
    findings.extend(wildcards);
    findings.extend(running::judge(&wiring));
    if !diagnostics.report(findings) {
        return Err(diagnostics.finish());
    }

    let outcome = finish_diagnostics(diagnostics);
    if outcome.has_errors() {
        return Err(outcome);
    }

    let Located { definition, .. } = located;
    let size = size_of(&definition);
    let execution_role = iam::execution::statements(&wiring.assembly, &definition);
    let plan = Plan {
        wiring,
        definition,
        execution_role,
        task_role,
        size,
        price: None,
        outcome,
    };

    Ok(plan.with_prices(Prices::built_in()))
}

/// The definition alone, whatever rules it breaks.
pub(crate) fn derived(wiring: &Wiring) -> Result<TaskDefinition, Vec<Finding>> {
    let (task_role, _) = iam::task::statements(&wiring.assembly)?;
    Ok(definition::definition(wiring, &task_role)?.definition)
}

/// What the execution role and the task role may do.
pub(crate) fn roles(wiring: &Wiring) -> Result<[Vec<iam::Statement>; 2], Vec<Finding>> {
    let (task_role, _) = iam::task::statements(&wiring.assembly)?;
    let definition = definition::definition(wiring, &task_role)?.definition;
    let execution_role = iam::execution::statements(&wiring.assembly, &definition);
    Ok([execution_role, task_role])
}

/// Only now can it be said which entries of the manifest silence nothing.
fn finish_diagnostics(mut diagnostics: Diagnostics) -> Judged {
    let own = diagnostics.overrides().iter();
    let own = own.filter(|ruling| ruling.authority == Authority::Manifest);
    let stale = rule_config::unused_suppressions(own, |rule| diagnostics.has_triggered(rule));
    diagnostics.report(stale);
    diagnostics.finish()
}

/// The size that a definition names; 0 where it names none.
pub(crate) fn size_of(definition: &TaskDefinition) -> Size {
    use task_definition::fargate_sizes::{parse_cpu, parse_memory};

    let cpu = definition
        .cpu
        .as_deref()
        .and_then(parse_cpu)
        .unwrap_or_default();
    let memory = definition
        .memory
        .as_deref()
        .and_then(parse_memory)
        .unwrap_or_default();

    Size { cpu, memory }
}

impl Plan {
    /// The assembly's name.
    pub fn name(&self) -> &str {
        &self.wiring.assembly.manifest.file().name
    }

    /// What it does, in one line.
    pub fn summary(&self) -> &str {
        &self.wiring.assembly.manifest.file().summary
    }

    /// Exactly what would be registered.
    pub fn definition(&self) -> &TaskDefinition {
        &self.definition
    }

    /// What it runs on, in the words of image indexes: `linux/amd64`.
    pub fn platform(&self) -> String {
        lock::platform(&self.definition)
    }

    /// The containers in the order of the definition, with the component each one comes from.
    pub fn containers(&self) -> &[AssemblyMember] {
        &self.wiring.assembly.members
    }

    /// The component of a container.
    pub fn component(&self, container: &str) -> Option<&Component> {
        self.containers()
            .iter()
            .find(|one| one.name() == container)
            .map(AssemblyMember::component)
    }

    /// The app's container.
    pub fn app(&self) -> Option<&AssemblyMember> {
        self.containers().iter().find(|one| one.role() == Role::App)
    }

    /// The port at which the task is reached, if it is.
    pub fn public(&self) -> Option<&PublicPort> {
        self.wiring.public.as_ref()
    }

    /// Who gives what to whom.
    pub fn links(&self) -> &[Link] {
        &self.wiring.assembly.links
    }

    /// How many tasks serve, if they do.
    pub fn service(&self) -> Option<&Service> {
        self.wiring.assembly.manifest.file().service.as_ref()
    }

    /// What stands between the clients and the tasks.
    pub fn load_balancer(&self) -> LoadBalancer {
        running::load_balancer(&self.wiring)
    }

    /// What starts a task, if it is started by something.
    pub fn on_demand(&self) -> Option<&OnDemand> {
        self.wiring.assembly.manifest.file().on_demand.as_ref()
    }

    /// The Fargate size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What one task costs, if the price is known.
    pub fn price(&self) -> Option<&Price> {
        self.price.as_ref()
    }

    /// The same plan with the prices of another table.
    pub fn with_prices(mut self, prices: &Prices) -> Self {
        let billed = BilledResources::from_definition(&self.definition);
        self.price = prices.price(billed, &self.wiring.assembly.account.region);
        self
    }

    /// What is accepted and will hurt.
    pub fn warnings(&self) -> &[Finding] {
        &self.outcome.findings
    }

    /// What is wrong and was said to be right here, with the reasons.
    pub fn suppressed(&self) -> &[Silenced] {
        &self.outcome.silenced
    }

    /// Everything that was found on the way, told or silenced.
    pub fn outcome(&self) -> &Judged {
        &self.outcome
    }
}

impl PublicPort {
    /// The container that is reached.
    pub fn container<'p>(&self, plan: &'p Plan) -> &'p str {
        plan.containers()[self.member].name()
    }

    /// The interface it offers: `https`.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
