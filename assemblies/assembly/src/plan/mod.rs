//! The plan: an assembly that passed every rule, with its task definition and permissions.

use diagnostics::{Finding, LevelSource, Outcome, SuppressedFinding};
use ecs_rules::ImageFacts;
use task_definition::{LocatedDefinition, TaskDefinition};

use crate::component::Component;
use crate::component::image_facts;
use crate::diagnostic_context::DiagnosticContext;
use crate::lock;
use crate::manifest::{LoadBalancer, OnDemand, Service};
use crate::prices::{BilledResources, Prices};
use crate::resolve::{AssemblyMember, Link, Role};
use crate::rule_config;
use crate::wire::{PublicPort, Wiring};

mod definition;
mod environment;
pub mod iam;
pub(crate) mod merge;
mod running;
pub(crate) mod share;

pub use crate::prices::Price;
pub(crate) use definition::FLUSH_SECONDS;
use definition::PartialDefinition;

/// A checked assembly; the only thing that can be rendered, run or deployed.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) wiring: Wiring,
    pub(crate) definition: TaskDefinition,
    pub(crate) execution_role: Vec<iam::Statement>,
    pub(crate) task_role: Vec<iam::Statement>,
    size: Size,
    price: Option<Price>,
    outcome: Outcome,
}

/// A Fargate size; displays as `0.25 vCPU · 0.5 GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// CPU units; 1,024 units are one vCPU.
    pub cpu: u32,
    /// Memory in MiB.
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

/// Derives permissions, sizes and the task definition, then checks every rule.
pub fn plan(
    wiring: Wiring,
    mut diagnostics: DiagnosticContext,
    inspected: &ImageFacts,
) -> Result<Plan, Outcome> {
    let (task_role, wildcards) =
        iam::task::statements(&wiring.assembly).unwrap_or_else(|findings| {
            diagnostics.report_fatal(findings);
            (Vec::new(), Vec::new())
        });
    let PartialDefinition {
        mut located,
        unread,
        findings,
    } = match definition::definition(&wiring, &task_role) {
        Ok(derived) => derived,
        Err(findings) => {
            diagnostics.report_fatal(findings);
            return Err(diagnostics.finish());
        }
    };
    diagnostics.report_fatal(findings);

    let mut findings = environment::check(&wiring, &located);
    findings.extend(lock::pin(&mut located, wiring.assembly.values.lock()));

    let definition_findings = check_definition(&wiring, &located, inspected, &findings);
    findings.extend(definition_findings);
    findings.extend(wildcards);
    findings.extend(running::check(&wiring));
    if diagnostics.has_errors() {
        findings.retain(|finding| is_certain(finding, &wiring, &unread, &diagnostics));
    }
    if !diagnostics.report(findings) {
        return Err(diagnostics.finish());
    }

    let outcome = finish_diagnostics(diagnostics);
    if outcome.has_errors() {
        return Err(outcome);
    }

    let LocatedDefinition { definition, .. } = located;
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

/// Returns whether a finding holds although an earlier stage has found errors: it is about a value that was read and
/// that the user wrote, not about something derived from the parts that are invalid.
fn is_certain(
    finding: &Finding,
    wiring: &Wiring,
    unread: &[String],
    diagnostics: &DiagnosticContext,
) -> bool {
    let pointer = finding.pointer.as_deref().unwrap_or_default();
    let is_unread = unread.iter().any(|unread| {
        let rest = pointer.strip_prefix(unread.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    // Findings about derived values are at the name of the assembly, or at that of a component.
    let name = wiring.assembly.manifest.location("/name");
    let mut members = wiring.assembly.members.iter();
    let is_fallback =
        finding.location == name || members.any(|member| member.location == finding.location);
    !is_unread && !is_fallback && diagnostics.is_independent(finding)
}

/// Checks the task definition against the rules for any definition, except where one of `known` reports the same.
fn check_definition(
    wiring: &Wiring,
    located: &LocatedDefinition,
    inspected: &ImageFacts,
    known: &[Finding],
) -> Vec<Finding> {
    let members = wiring.assembly.members.iter();
    let images = members.map(|member| {
        let bundle = member.bundle.as_ref();
        (&member.component, member.image.as_str(), bundle)
    });
    let mut facts = image_facts(images);
    facts.merge(inspected);

    // M22 knows the outermost hop; P09 guesses it for any definition. Where both report one address, M22 stays.
    let is_duplicate = |finding: &Finding| {
        finding.rule == "P09"
            && known
                .iter()
                .any(|known| known.rule == "M22" && known.location == finding.location)
    };
    let mut findings = ecs_rules::check_with(located, &facts);
    findings.retain(|finding| !is_duplicate(finding));
    findings
}

/// Returns the task definition alone, without checking the rules.
pub(crate) fn derive_definition(wiring: &Wiring) -> Result<TaskDefinition, Vec<Finding>> {
    let (task_role, _) = iam::task::statements(&wiring.assembly)?;
    definition::valid_definition(wiring, &task_role)
}

/// Returns the statements of the execution role and of the task role.
pub(crate) fn roles(wiring: &Wiring) -> Result<[Vec<iam::Statement>; 2], Vec<Finding>> {
    let (task_role, _) = iam::task::statements(&wiring.assembly)?;
    let definition = definition::valid_definition(wiring, &task_role)?;
    let execution_role = iam::execution::statements(&wiring.assembly, &definition);
    Ok([execution_role, task_role])
}

/// Reports unused suppressions of the manifest and returns the outcome.
fn finish_diagnostics(mut diagnostics: DiagnosticContext) -> Outcome {
    // Every rule has run by now, so an entry for a rule that has not triggered is unused.
    let manifest_overrides = diagnostics
        .overrides()
        .iter()
        .filter(|ruling| ruling.source == LevelSource::Manifest);
    let unused = rule_config::unused_suppressions(manifest_overrides, |rule| {
        diagnostics.has_triggered(rule)
    });
    diagnostics.report(unused);
    diagnostics.finish()
}

/// Returns the task size of a definition; 0 where it names none.
pub(crate) fn size_of(definition: &TaskDefinition) -> Size {
    use task_definition::fargate_sizes::{parse_cpu, parse_memory};

    // Sizes are text in a definition: `1024`, `1 vCPU`, `2 GB`.
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
    /// Returns the assembly's name.
    pub fn name(&self) -> &str {
        &self.wiring.assembly.manifest.file().name
    }

    /// Returns the assembly's summary, in one line.
    pub fn summary(&self) -> &str {
        &self.wiring.assembly.manifest.file().summary
    }

    /// Returns the task definition exactly as it would be registered.
    pub fn definition(&self) -> &TaskDefinition {
        &self.definition
    }

    /// Returns the platform as OCI image indexes name it: `linux/amd64`.
    pub fn platform(&self) -> String {
        lock::platform(&self.definition)
    }

    /// Returns the containers in the order of the definition, with their components.
    pub fn containers(&self) -> &[AssemblyMember] {
        &self.wiring.assembly.members
    }

    /// Returns the component of a container.
    pub fn component(&self, container: &str) -> Option<&Component> {
        self.containers()
            .iter()
            .find(|member| member.name() == container)
            .map(AssemblyMember::component)
    }

    /// Returns the app's container.
    pub fn app(&self) -> Option<&AssemblyMember> {
        self.containers()
            .iter()
            .find(|member| member.role() == Role::App)
    }

    /// Returns the port that clients connect to, if there is one.
    pub fn public(&self) -> Option<&PublicPort> {
        self.wiring.public.as_ref()
    }

    /// Returns the links between the containers.
    pub fn links(&self) -> &[Link] {
        &self.wiring.assembly.links
    }

    /// Returns the `service:` section, if the assembly runs as a service.
    pub fn service(&self) -> Option<&Service> {
        self.wiring.assembly.manifest.file().service.as_ref()
    }

    /// Returns the kind of load balancer in front of the tasks.
    pub fn load_balancer(&self) -> LoadBalancer {
        running::load_balancer(&self.wiring)
    }

    /// Returns the `on_demand:` section, if events start the task.
    pub fn on_demand(&self) -> Option<&OnDemand> {
        self.wiring.assembly.manifest.file().on_demand.as_ref()
    }

    /// Returns the Fargate size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Returns the price of one task, if it is known.
    pub fn price(&self) -> Option<&Price> {
        self.price.as_ref()
    }

    /// Returns the plan with the prices of another table.
    pub fn with_prices(mut self, prices: &Prices) -> Self {
        let billed = BilledResources::from_definition(&self.definition);
        self.price = prices.price(billed, &self.wiring.assembly.account.region);
        self
    }

    /// Returns the warnings.
    pub fn warnings(&self) -> &[Finding] {
        &self.outcome.findings
    }

    /// Returns the suppressed findings, with the reasons.
    pub fn suppressed_findings(&self) -> &[SuppressedFinding] {
        &self.outcome.suppressed
    }

    /// Returns the outcome of all stages: findings and suppressed findings.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

impl PublicPort {
    /// Returns the container that listens on the port.
    pub fn container<'p>(&self, plan: &'p Plan) -> &'p str {
        plan.containers()[self.member].name()
    }

    /// Returns the interface on the port: `https`.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
