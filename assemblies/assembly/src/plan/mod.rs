//! An assembly with everything decided and every rule passed.

use task_definition::{Finding, Located, Severity, TaskDefinition};

use crate::component::Component;
use crate::manifest::{OnDemand, Service};
use crate::resolve::{Link, Member, Role};
use crate::text::in_order;
use crate::wire::{Public, Wiring};

mod definition;
mod finished;
pub mod iam;
mod merge;
pub mod price;
mod share;

pub use price::Price;

/// The only thing that can be rendered, run or deployed.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) wiring: Wiring,
    pub(crate) definition: TaskDefinition,
    pub(crate) execution_role: Vec<iam::Statement>,
    pub(crate) task_role: Vec<iam::Statement>,
    size: Size,
    price: Option<Price>,
    warnings: Vec<Finding>,
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
pub fn plan(wiring: Wiring) -> Result<Plan, Vec<Finding>> {
    let statements = iam::statements(&wiring.cast)?;
    let located = definition::definition(&wiring, &statements)?;
    let mut findings = finished::judge(&wiring, &located);
    findings.extend(task_definition::check(&located));
    let findings = in_order(findings);
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(findings);
    }
    let Located { definition, .. } = located;
    let size = size_of(&definition);
    let architecture = wiring.cast.manifest.file().size.architecture;
    let price = price::of(size, architecture, &wiring.cast.account.region);
    let iam::Statements {
        execution_role,
        task_role,
    } = statements;
    Ok(Plan {
        wiring,
        definition,
        execution_role,
        task_role,
        size,
        price,
        warnings: findings,
    })
}

fn size_of(definition: &TaskDefinition) -> Size {
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
        &self.wiring.cast.manifest.file().name
    }

    /// What it does, in one line.
    pub fn summary(&self) -> &str {
        &self.wiring.cast.manifest.file().summary
    }

    /// Exactly what would be registered.
    pub fn definition(&self) -> &TaskDefinition {
        &self.definition
    }

    /// The containers in the order of the definition, with the component each one comes from.
    pub fn containers(&self) -> &[Member] {
        &self.wiring.cast.members
    }

    /// The component of a container.
    pub fn component(&self, container: &str) -> Option<&Component> {
        self.containers()
            .iter()
            .find(|one| one.name() == container)
            .map(Member::component)
    }

    /// The app's container.
    pub fn app(&self) -> Option<&Member> {
        self.containers().iter().find(|one| one.role() == Role::App)
    }

    /// The port at which the task is reached, if it is.
    pub fn public(&self) -> Option<&Public> {
        self.wiring.public.as_ref()
    }

    /// Who gives what to whom.
    pub fn links(&self) -> &[Link] {
        &self.wiring.cast.links
    }

    /// How many tasks serve, if they do.
    pub fn service(&self) -> Option<&Service> {
        self.wiring.cast.manifest.file().service.as_ref()
    }

    /// What starts a task, if it is started by something.
    pub fn on_demand(&self) -> Option<&OnDemand> {
        self.wiring.cast.manifest.file().on_demand.as_ref()
    }

    /// The Fargate size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What one task costs, if the price is known.
    pub fn price(&self) -> Option<&Price> {
        self.price.as_ref()
    }

    /// What is accepted and will hurt.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }
}

impl Public {
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
