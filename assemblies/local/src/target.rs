//! What to run: a task definition and the components of its containers.

use std::collections::BTreeMap;

use assembly::component::{ComponentFile, Local};
use assembly::resolve::AssemblyMember;
use assembly::{Catalog, Plan};
use task_definition::{ContainerDefinition, ImageReference, TaskDefinition};
use task_runner::metadata::Origin;

use crate::{Error, Messages};

/// A task definition and the components of its containers.
#[derive(Debug)]
pub struct Target {
    /// The definition exactly as it would be registered.
    pub(crate) definition: TaskDefinition,
    /// The component of each container that has one.
    pub(crate) components: BTreeMap<String, ComponentFile>,
    /// The words that call the component of a container whose image is that of a bundle.
    calls: BTreeMap<String, Vec<String>>,
    /// The address of the task, if it has one.
    pub(crate) public: Option<Public>,
    /// The app's container.
    pub(crate) app: Option<String>,
    /// Whether it runs until it is stopped, rather than to completion.
    pub(crate) serves: bool,
    /// What would start it on ECS; without a manifest, RunTask.
    pub(crate) origin: Origin,
    /// The region it is rendered for.
    pub(crate) region: String,
}

/// The public interface and port of a task.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) interface: String,
    pub(crate) port: u16,
}

impl Target {
    /// Takes the definition of an assembly's plan, rendered for a region.
    pub fn from_plan(plan: &Plan, region: Option<&str>) -> Self {
        let component =
            |member: &AssemblyMember| (member.name().to_owned(), member.component().file().clone());
        let call = |member: &AssemblyMember| {
            let words = member.bundle()?.command_of(member.component().name());
            Some((member.name().to_owned(), words))
        };
        Self {
            definition: plan.definition().clone(),
            calls: plan.containers().iter().filter_map(call).collect(),
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
            region: region.unwrap_or(REGION).to_owned(),
        }
    }

    /// Takes a task definition from a file, and the number of broken rules, which do not prevent the run.
    pub fn from_definition(
        definition: TaskDefinition,
        errors: usize,
        file: &str,
        catalog: &Catalog,
        ui: &dyn Messages,
    ) -> Result<Self, Error> {
        if errors > 0 {
            let plural = if errors == 1 { "" } else { "s" };
            ui.message(&format!(
                "{errors} error{plural}: ECS would reject this task definition; see `assemble check {file}`"
            ));
        }

        check_runnable(&definition, file)?;
        let component = |container: &ContainerDefinition| {
            if let Some((_, component)) = catalog.find_bundled(container) {
                return Some((container.name.clone(), component.file().clone()));
            }
            // A component is recognised by its image, or by the container's name.
            let found = [
                ImageReference::parse(&container.image).name(),
                &container.name,
            ]
            .into_iter()
            .find_map(|name| catalog.component(name)?.ok());
            Some((container.name.clone(), found?.file().clone()))
        };

        let call = |container: &ContainerDefinition| {
            let (bundle, component) = catalog.find_bundled(container)?;
            let words = bundle.command_of(component.name());
            Some((container.name.clone(), words))
        };

        let containers = definition.container_definitions.iter();
        let components = containers.clone().filter_map(component).collect();
        let calls = containers.filter_map(call).collect();

        Ok(Self {
            definition,
            components,
            calls,
            public: None,
            app: None,
            serves: true,
            origin: Origin::RunTask,
            region: REGION.to_owned(),
        })
    }

    /// Returns the definition's task role, whose credentials the containers may get.
    pub fn task_role_arn(&self) -> Option<&str> {
        self.definition.task_role_arn.as_deref()
    }

    /// Returns the words that call a container's component, if its image contains several.
    pub(crate) fn called_as(&self, container: &str) -> Vec<String> {
        self.calls.get(container).cloned().unwrap_or_default()
    }

    /// Returns the containers with a readiness probe.
    pub(crate) fn containers_with_readiness(&self) -> Vec<String> {
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
fn check_runnable(definition: &TaskDefinition, file: &str) -> Result<(), Error> {
    let containers = &definition.container_definitions;
    if containers.is_empty() {
        return Err(Error::Usage(format!(
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

    if !containers.iter().any(ContainerDefinition::is_essential) {
        problems.push("no container is essential; remove `essential: false` from one".to_owned());
    }

    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.join("\n  ");

    Err(Error::Usage(format!("`{file}`: {problems}")))
}

fn is_replaced(component: &ComponentFile) -> bool {
    matches!(component.local, Some(Local::Fallback(_)))
}

/// The region of a task definition, which does not contain one.
const REGION: &str = "us-east-1";
