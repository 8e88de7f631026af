//! What is to be run: an assembly's plan or a task definition, and the components that stand in it.

use std::collections::BTreeMap;
use std::path::Path;

use assembly::component::{ComponentFile, Local};
use task_definition::source;
use task_definition::{Severity, TaskDefinition};
use task_runner::metadata::Origin;

use super::Arguments;
use crate::failure::{Failure, count};
use crate::project::Project;
use crate::talk::Talk;

/// A task definition and what is known of the programs in it.
#[derive(Debug)]
pub(super) struct Target {
    /// Exactly what would be registered.
    pub(super) definition: TaskDefinition,
    /// The component of each container, where there is one.
    pub(super) components: BTreeMap<String, ComponentFile>,
    /// Where the task is reached, if it is.
    pub(super) public: Option<Public>,
    /// The app's container.
    pub(super) app: Option<String>,
    /// Whether it serves until stopped; otherwise it ends by itself.
    pub(super) serves: bool,
    /// What would start it on ECS: whatever no manifest gives a service is a task of RunTask.
    pub(super) origin: Origin,
    /// The region it is made for.
    pub(super) region: String,
}

/// Where a task is reached.
#[derive(Debug)]
pub(super) struct Public {
    pub(super) interface: String,
    pub(super) port: u16,
}

impl Target {
    /// Looks at what the word names.
    pub(super) fn find(
        arguments: &Arguments,
        project: &Project,
        talk: &Talk,
    ) -> Result<Self, Failure> {
        let path = Path::new(&arguments.what);
        if path.is_file() {
            let text = project.source(path)?;
            let node = source::parse(&text).map_err(Failure::Findings)?;
            if node.get("containerDefinitions").is_some() {
                return Self::plain(&text, project, talk);
            }
        }

        let plan = project.plan(&arguments.what, &arguments.values, "local")?;
        for warning in plan.warnings() {
            talk.say(warning.render(task_definition::Color::No).trim_end());
        }

        let component = |one: &assembly::resolve::Member| {
            (one.name().to_owned(), one.component().file().clone())
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

    /// Anybody's task definition: what breaks a rule is told, and run all the same.
    fn plain(text: &source::Source, project: &Project, talk: &Talk) -> Result<Self, Failure> {
        let located = task_definition::read(text).map_err(Failure::Findings)?;
        let findings = task_definition::check(&located);
        let errors = findings
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();

        if errors > 0 {
            let errors = count(errors);
            talk.say(&format!(
                "{errors}: ECS would not take it; see `assemble check {}`",
                text.name
            ));
        }

        let definition = located.definition;
        has_whom_to_run(&definition, &text.name)?;
        let catalog = project.catalog()?;
        let component = |container: &task_definition::ContainerDefinition| {
            let found = [image_name(&container.image), &container.name];
            let found = found
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

    /// The containers that can say whether they are ready.
    pub(super) fn can_be_ready(&self) -> Vec<String> {
        let names = self
            .definition
            .container_definitions
            .iter()
            .map(|one| &one.name);
        let asked = names.filter(|name| {
            self.components
                .get(*name)
                .is_some_and(|one| one.admin.is_some() && !is_stand_in(one))
        });

        if self.serves {
            asked.cloned().collect()
        } else {
            Vec::new()
        }
    }
}

/// What breaks these rules leaves nothing to run, or nobody to speak of.
fn has_whom_to_run(definition: &TaskDefinition, file: &str) -> Result<(), Failure> {
    let containers = &definition.container_definitions;
    if containers.is_empty() {
        return Err(Failure::Usage(format!(
            "`{file}` has no container; describe one in `containerDefinitions`"
        )));
    }

    let nameless = containers.iter().enumerate();
    let nameless = nameless.filter(|(_, one)| one.name.is_empty());
    let mut problems: Vec<String> = nameless
        .map(|(index, one)| {
            let (place, image) = (format!("/containerDefinitions/{index}"), &one.image);
            format!("the container at `{place}` (image `{image}`) has no name; give it a `name`")
        })
        .collect();

    if !containers
        .iter()
        .any(task_definition::ContainerDefinition::is_essential)
    {
        problems.push("no container is essential; leave `essential` out of one".to_owned());
    }

    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.join("\n  ");

    Err(Failure::Usage(format!("`{file}`: {problems}")))
}

fn is_stand_in(component: &ComponentFile) -> bool {
    matches!(component.local, Some(Local::StandIn(_)))
}

/// `registry/team/coins:1.2@sha256:…` is `coins`.
fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

/// Where a task is that nothing says a region for.
const REGION: &str = "us-east-1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_last_word() {
        assert_eq!(
            image_name("111122223333.dkr.ecr.eu-central-1.amazonaws.com/coins:1.2"),
            "coins"
        );
        assert_eq!(image_name("localhost:5000/team/coins@sha256:abc"), "coins");
        assert_eq!(image_name("coins"), "coins");
    }
}
