//! Determines what to run: an assembly's plan or a task definition, and its components.

use std::collections::BTreeMap;
use std::path::Path;

use assembly::component::{ComponentFile, Local};
use diagnostics::Severity;
use diagnostics::source;
use task_definition::{ImageReference, TaskDefinition};
use task_runner::metadata::Origin;

use super::Arguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// A task definition and the components of its containers.
#[derive(Debug)]
pub(super) struct Target {
    /// The definition exactly as it would be registered.
    pub(super) definition: TaskDefinition,
    /// The component of each container that has one.
    pub(super) components: BTreeMap<String, ComponentFile>,
    /// The address of the task, if it has one.
    pub(super) public: Option<Public>,
    /// The app's container.
    pub(super) app: Option<String>,
    /// Whether it runs until it is stopped, rather than to completion.
    pub(super) serves: bool,
    /// What would start it on ECS; without a manifest, RunTask.
    pub(super) origin: Origin,
    /// The region it is rendered for.
    pub(super) region: String,
}

/// The public interface and port of a task.
#[derive(Debug)]
pub(super) struct Public {
    pub(super) interface: String,
    pub(super) port: u16,
}

impl Target {
    /// Reads the task definition or assembly given as argument.
    pub(super) fn find(
        arguments: &Arguments,
        project: &Project,
        ui: &Ui,
    ) -> Result<Self, CliError> {
        let path = Path::new(&arguments.what);
        if path.is_file() {
            let text = project.source(path)?;
            let node = source::parse(&text).map_err(CliError::Findings)?;
            // A manifest is a file too, but has no containers.
            if node.get("containerDefinitions").is_some() {
                return Self::from_definition(&text, project, ui);
            }
        }

        let plan = project.plan(&arguments.what, &arguments.values, "local")?;
        for warning in plan.warnings() {
            ui.message(warning.render(diagnostics::Color::No).trim_end());
        }

        let component = |member: &assembly::resolve::AssemblyMember| {
            (member.name().to_owned(), member.component().file().clone())
        };
        Ok(Self {
            definition: plan.definition().clone(),
            components: plan.containers().iter().map(component).collect(),
            public: plan.public().map(|public| Public {
                interface: public.interface().to_owned(),
                port: public.port(),
            }),
            app: plan.app().map(|app| app.name().to_owned()),
            serves: plan.service().is_some(),
            origin: match plan.service() {
                Some(_) => Origin::Service,
                None => Origin::RunTask,
            },
            region: project
                .values(&arguments.values, "local")?
                .get("region")
                .unwrap_or(REGION)
                .to_owned(),
        })
    }

    /// Reads a task definition. Broken rules are reported but do not prevent the run.
    fn from_definition(
        text: &source::Source,
        project: &Project,
        ui: &Ui,
    ) -> Result<Self, CliError> {
        let located = task_definition::read(text).map_err(CliError::Findings)?;
        let findings = ecs_rules::check_with(&located, &project.catalog()?.image_facts());
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();

        if errors > 0 {
            let plural = if errors == 1 { "" } else { "s" };
            ui.message(&format!(
                "{errors} error{plural}: ECS would reject this task definition; see `assemble check {}`",
                text.name
            ));
        }

        let definition = located.definition;
        check_runnable(&definition, &text.name)?;
        let catalog = project.catalog()?;
        let component = |container: &task_definition::ContainerDefinition| {
            // A component is recognised by its image, or by the container's name.
            let found = [
                ImageReference::parse(&container.image).name(),
                &container.name,
            ]
            .into_iter()
            .find_map(|name| catalog.component(name)?.ok());
            Some((container.name.clone(), found?.file().clone()))
        };

        let components = definition
            .container_definitions
            .iter()
            .filter_map(component)
            .collect();

        Ok(Self {
            definition,
            components,
            public: None,
            app: None,
            serves: true,
            origin: Origin::RunTask,
            region: REGION.to_owned(),
        })
    }

    /// Returns the containers with a readiness probe.
    pub(super) fn containers_with_readiness(&self) -> Vec<String> {
        let names = self
            .definition
            .container_definitions
            .iter()
            .map(|container| &container.name);
        let with_probe = names.filter(|name| {
            self.components
                .get(*name)
                .is_some_and(|component| component.admin.is_some() && !is_replaced(component))
        });

        // A task that runs to completion is never "ready".
        if self.serves {
            with_probe.cloned().collect()
        } else {
            Vec::new()
        }
    }
}

/// Rejects a definition that has nothing to run, or containers without a name.
fn check_runnable(definition: &TaskDefinition, file: &str) -> Result<(), CliError> {
    let containers = &definition.container_definitions;
    if containers.is_empty() {
        return Err(CliError::Usage(format!(
            "`{file}` has no containers; add one to `containerDefinitions`"
        )));
    }

    let unnamed = containers
        .iter()
        .enumerate()
        .filter(|(_, container)| container.name.is_empty());
    let mut problems: Vec<String> = unnamed
        .map(|(index, container)| {
            let (pointer, image) = (format!("/containerDefinitions/{index}"), &container.image);
            format!("the container at `{pointer}` (image `{image}`) has no name; add a `name`")
        })
        .collect();

    if !containers
        .iter()
        .any(task_definition::ContainerDefinition::is_essential)
    {
        problems.push("no container is essential; remove `essential: false` from one".to_owned());
    }

    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.join("\n  ");

    Err(CliError::Usage(format!("`{file}`: {problems}")))
}

fn is_replaced(component: &ComponentFile) -> bool {
    matches!(component.local, Some(Local::Fallback(_)))
}

/// The region of a task definition, which does not contain one.
const REGION: &str = "us-east-1";
