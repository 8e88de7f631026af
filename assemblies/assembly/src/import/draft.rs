//! Builds the manifest of an import: roles, components and settings of the containers.

use diagnostics::Finding;
use diagnostics::source::Source;
use serde_json::{Map, Value, json};
use task_definition::fargate_sizes::{parse_cpu, parse_memory};
use task_definition::{ContainerDefinition, TaskDefinition};

use super::account_context::{AccountContext, escape_references};
use super::{ImportOptions, describe, roles};
use crate::component::{Catalog, Component, Kind};
use crate::manifest::is_name;

mod reconcile;
mod write;

/// Whether containers may use existing components of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CatalogMatch {
    /// A container with the image of a component uses that component.
    Reuse,
    /// Every container gets a new component.
    Ignore,
}

/// An unfinished manifest.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) components: Vec<(String, String)>,
    members: Vec<DraftContainer>,
    size: Map<String, Value>,
    patch: Map<String, Value>,
    /// Rules that the manifest lowers to warnings: the id and the first message.
    lowered: Vec<(&'static str, String)>,
    file: String,
    context: AccountContext,
}

/// A container, and its entries in the manifest.
#[derive(Debug, Clone)]
struct DraftContainer {
    component: String,
    kind: Kind,
    /// The existing component. Its wired settings are left out if the derived values are the same.
    existing: Option<Component>,
    settings: Map<String, Value>,
    secrets: Map<String, Value>,
    overrides: Map<String, Value>,
}

impl Draft {
    /// Determines roles, components and settings, without comparing derived fields yet.
    pub(super) fn new(
        definition: &TaskDefinition,
        catalog: &Catalog,
        options: &ImportOptions,
        context: &AccountContext,
        catalog_match: CatalogMatch,
    ) -> Result<Self, String> {
        let name = assembly_name(definition, options)?;
        let app = roles::find_app(definition, catalog, options.app.as_deref())?;
        let mut draft = Self {
            name,
            components: Vec::new(),
            members: Vec::new(),
            // The size of the original; it is removed later if it can be derived.
            size: original_size(definition),
            patch: Map::new(),
            lowered: Vec::new(),
            file: options.file.clone(),
            context: context.clone(),
        };

        for (at, container) in definition.container_definitions.iter().enumerate() {
            // What the container is if it gets a component of its own.
            let role = if at == app {
                Kind::App
            } else {
                roles::kind(definition, container)
            };
            let component = match catalog_match {
                CatalogMatch::Reuse => draft.find_component(role, container, definition, catalog),
                CatalogMatch::Ignore => None,
            };

            let member = match component {
                Some(component) => {
                    reuse_component(component, component.file().kind, container, definition)
                }
                None => draft.describe_container(role, container, definition, catalog),
            };
            draft.members.push(member);
        }

        Ok(draft)
    }

    /// Returns the existing component that the container can use.
    fn find_component<'c>(
        &self,
        role: Kind,
        container: &ContainerDefinition,
        definition: &TaskDefinition,
        catalog: &'c Catalog,
    ) -> Option<&'c Component> {
        let component = roles::find_component(container, catalog)?;
        let is_used = self
            .members
            .iter()
            .any(|member| member.component == component.name());
        let fits_role = (component.file().kind == Kind::App) == (role == Kind::App);
        // A component from an earlier import of this definition is written again, not reused.
        let generated =
            describe::component(component.name(), role, container, definition, &self.context);

        (!is_used && fits_role && component.text() != generated).then_some(component)
    }

    /// Adds a new component for the container.
    fn describe_container(
        &mut self,
        kind: Kind,
        container: &ContainerDefinition,
        definition: &TaskDefinition,
        catalog: &Catalog,
    ) -> DraftContainer {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let plain: String = container
            .name
            .chars()
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        let text =
            |name: &str| describe::component(name, kind, container, definition, &self.context);

        // The catalog may have another component of this name; a previous import of this definition is the same one.
        let is_free = |name: &str| match catalog.component(name) {
            None => true,
            Some(Ok(existing)) => existing.text() == text(name),
            Some(Err(_)) => false,
        };
        let is_used = |name: &str| self.components.iter().any(|(other, _)| other == name);
        // Prefer the short name, then one with the name of the assembly, then a numbered one.
        let long = format!("{}-{plain}", self.name);
        let numbered = (2..100).map(|number| format!("{long}-{number}"));
        let mut names = [plain, long.clone()].into_iter().chain(numbered);
        let name = names
            .find(|name| is_free(name) && !is_used(name))
            .unwrap_or(long.clone());

        let mut overrides = Map::new();
        if name != container.name {
            overrides.insert("name".to_owned(), json!(container.name));
        }

        let (mut settings, secrets) = declared_values(container);
        if container.firelens_configuration.is_some() {
            settings.extend(log_output(definition).map(|output| ("log_output".to_owned(), output)));
        }

        let text = text(&name);
        self.components.push((name.clone(), text));
        DraftContainer {
            component: name,
            kind,
            existing: None,
            settings,
            secrets,
            overrides,
        }
    }

    /// Returns the catalog with the new components.
    pub(super) fn catalog(&self, catalog: &Catalog) -> Catalog {
        let new = self.components.iter();
        new.fold(catalog.clone(), |catalog, (name, text)| {
            catalog.with(&Source::new(format!("{name}/component.yaml"), text.clone()))
        })
    }

    /// Lowers the rules of these errors to warnings, and returns whether any was not lowered before.
    pub(super) fn lower(&mut self, errors: &[Finding]) -> bool {
        let before = self.lowered.len();
        for error in errors {
            if self.lowered.iter().all(|(rule, _)| *rule != error.rule) {
                self.lowered.push((error.rule, error.message.clone()));
            }
        }
        self.lowered.len() > before
    }
}

/// Returns the name of the assembly: the given one, or else that of the family.
fn assembly_name(definition: &TaskDefinition, options: &ImportOptions) -> Result<String, String> {
    match &options.name {
        Some(name) if is_name(name) => Ok(name.clone()),
        Some(name) => Err(format!(
            "`{name}` is not a valid name; write `{}`",
            to_name(name)
        )),
        None => Ok(to_name(&definition.family)),
    }
}

/// Returns the section `size` with the task's CPU units, MiB of memory and architecture.
fn original_size(definition: &TaskDefinition) -> Map<String, Value> {
    let mut size = Map::new();
    let cpu = definition.cpu.as_deref().and_then(parse_cpu);
    let memory = definition.memory.as_deref().and_then(parse_memory);
    if let (Some(cpu), Some(memory)) = (cpu, memory) {
        size.insert("cpu".to_owned(), json!(cpu));
        size.insert("memory".to_owned(), json!(memory));
    }

    let platform = definition.runtime_platform.as_ref();
    if platform.and_then(|platform| platform.cpu_architecture.as_deref()) == Some("ARM64") {
        size.insert("architecture".to_owned(), json!("ARM64"));
    }
    size
}

/// Returns the container's settings and secrets, if it gets a component that declares its variables.
fn declared_values(container: &ContainerDefinition) -> (Map<String, Value>, Map<String, Value>) {
    let (mut settings, mut secrets) = (Map::new(), Map::new());
    for describe::DeclaredVariable {
        setting, variable, ..
    } in describe::declare_variables(container)
    {
        let plain = container
            .variable(&variable)
            .map(|value| settings.insert(setting.clone(), json!(value)));
        let secret = container
            .secrets
            .iter()
            .find(|secret| secret.name == variable);

        if let (None, Some(secret)) = (plain, secret) {
            secrets.insert(setting, json!(secret.value_from));
        }
    }

    (settings, secrets)
}

/// Converts a family to a valid name of lower-case letters, digits and `-`.
pub(crate) fn to_name(family: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let lower: String = family
        .to_ascii_lowercase()
        .chars()
        .map(|c| if is_allowed(c) { c } else { '-' })
        .collect();

    let words: Vec<&str> = lower.split('-').filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    // A name begins with a letter and has at most 54 characters (rule M04).
    let from_letter = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let truncated: String = from_letter.chars().take(54).collect();
    let name = truncated.trim_end_matches('-');

    if name.is_empty() {
        "imported".to_owned()
    } else {
        name.to_owned()
    }
}

/// Uses an existing component for the container.
fn reuse_component(
    component: &Component,
    kind: Kind,
    container: &ContainerDefinition,
    definition: &TaskDefinition,
) -> DraftContainer {
    let mut overrides = Map::new();
    if component.name() != container.name {
        overrides.insert("name".to_owned(), json!(container.name));
    }

    // The component may have another tag or registry.
    overrides.insert("image".to_owned(), json!(container.image));
    let mut secrets = Map::new();
    for setting in component.file().settings.keys() {
        let variable = component.variable(setting);
        let found = container
            .secrets
            .iter()
            .find(|secret| secret.name == variable);
        secrets.extend(found.map(|secret| (setting.clone(), json!(secret.value_from))));
    }

    // Required settings are needed to derive anything; the others are added after the wiring is known.
    let file = component.file();
    let wired = |setting: &String| {
        file.requires
            .values()
            .any(|required| required.setting == *setting)
    };
    let required = file.settings.iter().filter(|(name, declaration)| {
        let is_alternative = file.one_of.iter().flatten().any(|setting| setting == *name);
        (declaration.required || is_alternative) && !declaration.secret && !wired(name)
    });
    let required = required.filter_map(|(setting, _)| {
        let value = container.variable(&component.variable(setting))?;
        Some((setting.clone(), parse_setting(value)))
    });

    let output = file
        .firelens
        .iter()
        .filter_map(|router| Some((router.output.clone(), log_output(definition)?)));
    let settings = required.chain(output);

    DraftContainer {
        component: component.name().to_owned(),
        kind,
        settings: settings.collect(),
        existing: Some(component.clone()),
        secrets,
        overrides,
    }
}

/// Parses the text of a variable for a manifest: JSON objects and arrays become maps and lists.
pub(crate) fn parse_setting(text: &str) -> Value {
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let collection = parsed.filter(|value| value.is_object() || value.is_array());
    collection.unwrap_or_else(|| json!(text))
}

/// Returns the log-router options of the last container that uses the router.
fn log_output(definition: &TaskDefinition) -> Option<Value> {
    let logs = definition
        .container_definitions
        .iter()
        .filter_map(|container| container.log_configuration.as_ref());
    let log = logs.rev().find(|log| log.log_driver == "awsfirelens")?;

    // The options are interpolated a second time for each logging container, so they are escaped once more.
    let options = log
        .options
        .iter()
        .map(|(name, text)| (name.clone(), json!(escape_references(text))));

    (!log.options.is_empty()).then(|| Value::Object(options.collect()))
}
