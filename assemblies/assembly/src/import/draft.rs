//! Builds the manifest of an import, and formats it.

use std::fmt::Write as _;

use diagnostics::Finding;
use diagnostics::source::Source;
use serde_json::{Map, Value, json};
use task_definition::{ContainerDefinition, TaskDefinition, normalise};

use super::account_context::{AccountContext, escape_references};
use super::{ImportOptions, describe, overlay_diff, roles};
use crate::component::{Catalog, Component, Kind};
use crate::manifest::is_name;
use crate::values::Values;
use crate::yaml;

/// The maximum number of rounds of deriving the task and comparing it with the original.
const ROUNDS: usize = 4;

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
        let name = match &options.name {
            Some(name) if is_name(name) => name.clone(),
            Some(name) => {
                return Err(format!(
                    "`{name}` is not a valid name; write `{}`",
                    to_name(name)
                ));
            }
            None => to_name(&definition.family),
        };

        let app = roles::find_app(definition, catalog, options.app.as_deref())?;
        let mut draft = Self {
            name,
            components: Vec::new(),
            members: Vec::new(),
            size: Map::new(),
            patch: Map::new(),
            lowered: Vec::new(),
            file: options.file.clone(),
            context: context.clone(),
        };

        for (at, container) in definition.container_definitions.iter().enumerate() {
            let component = match catalog_match {
                CatalogMatch::Reuse => roles::find_component(container, catalog),
                CatalogMatch::Ignore => None,
            };

            let component = component.filter(|component| {
                let is_used = draft
                    .members
                    .iter()
                    .any(|member| member.component == component.name());

                // A component from an earlier import of this definition is written again, not reused.
                let kind = if at == app {
                    Kind::App
                } else {
                    roles::kind(definition, container)
                };

                let generated =
                    describe::component(component.name(), kind, container, definition, context);
                !is_used
                    && fits_role(component.file().kind, at == app)
                    && component.text() != generated
            });

            let kind = match component {
                _ if at == app => Kind::App,
                Some(component) => component.file().kind,
                None => roles::kind(definition, container),
            };

            let member = match component {
                Some(component) => reuse_component(component, kind, container, definition),
                None => draft.describe_container(kind, container, definition, catalog),
            };
            draft.members.push(member);
        }

        // Start with the size of the original; it is removed later if it can be derived.
        if let (Some(cpu), Some(memory)) = (
            parse_size(definition.cpu.as_deref(), true),
            parse_size(definition.memory.as_deref(), false),
        ) {
            draft.size.insert("cpu".to_owned(), json!(cpu));
            draft.size.insert("memory".to_owned(), json!(memory));
        }

        let platform = definition.runtime_platform.as_ref();
        if platform.and_then(|platform| platform.cpu_architecture.as_deref()) == Some("ARM64") {
            draft.size.insert("architecture".to_owned(), json!("ARM64"));
        }

        Ok(draft)
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

    /// Adds overrides and a patch for every field with a derived value that differs from the original.
    pub(super) fn reconcile(
        &mut self,
        definition: &TaskDefinition,
        catalog: &Catalog,
        values: &Values,
    ) -> Result<(), Vec<Finding>> {
        let derived = self.derive(catalog, values)?;
        self.add_unwired_settings(definition, &derived);

        // An override of one container's size changes the derived sizes of the others.
        for _ in 0..ROUNDS {
            let derived = self.derive(catalog, values)?;
            if !self.override_containers(definition, &derived) {
                break;
            }
        }

        let normal_original = normalise(definition);
        let derived = self.derive(catalog, values)?;
        let sides = [&derived, definition, &normalise(&derived), &normal_original];
        let [derived, original, normal, expected] = sides.map(|task| {
            // Containers have their overrides already; the patch is for the task's fields.
            let mut task = json!(task);
            task.as_object_mut()
                .map(|fields| fields.shift_remove("containerDefinitions"));
            task
        });

        self.patch = diff_fields(&derived, &original, &normal, &expected);
        self.omit_derivable_size(definition, catalog, values);
        Ok(())
    }

    /// Overrides container fields that differ, and returns whether there were any.
    fn override_containers(
        &mut self,
        definition: &TaskDefinition,
        derived: &TaskDefinition,
    ) -> bool {
        let derived = same_task(derived, definition);
        let (normal, expected) = (normalise(&derived), normalise(definition));
        let mut any = false;

        for (at, member) in self.members.iter_mut().enumerate() {
            let sides = [&derived, definition, &normal, &expected];
            let [derived, original, normal, expected] =
                sides.map(|task| json!(task.container_definitions[at]));
            let over = diff_fields(&derived, &original, &normal, &expected);

            any |= !over.is_empty();
            for (field, value) in over {
                // A difference on top of an earlier override would replace it, so use the whole value.
                let is_repeated = member.overrides.contains_key(&field);
                let whole = original.get(&field).cloned().unwrap_or(Value::Null);
                member
                    .overrides
                    .insert(field, if is_repeated { whole } else { value });
            }
        }

        any
    }

    /// Removes the size if the derived one is the same.
    fn omit_derivable_size(
        &mut self,
        definition: &TaskDefinition,
        catalog: &Catalog,
        values: &Values,
    ) {
        let mut without = self.clone();
        without.size.retain(|field, _| field == "architecture");
        let same = without
            .derive(catalog, values)
            .is_ok_and(|derived| normalise(&derived) == normalise(definition));

        if same {
            *self = without;
        }
    }

    /// Adds the settings of existing components that the wiring does not set, or sets to another value.
    fn add_unwired_settings(&mut self, definition: &TaskDefinition, derived: &TaskDefinition) {
        for (at, member) in self.members.iter_mut().enumerate() {
            let Some(component) = &member.existing else {
                continue;
            };
            let original = &definition.container_definitions[at];
            let derived = &derived.container_definitions[at];

            for (setting, declared) in &component.file().settings {
                let variable = component.variable(setting);
                let Some(value) = original.variable(&variable) else {
                    continue;
                };

                if declared.secret || derived.variable(&variable) == Some(value) {
                    continue;
                }

                // Keep the setting only if it produces the same text again.
                let value = parse_setting(value);
                if declared.kind.text(&value).as_deref() == original.variable(&variable) {
                    member.settings.insert(setting.clone(), value);
                }
            }
        }
    }

    fn derive(&self, catalog: &Catalog, values: &Values) -> Result<TaskDefinition, Vec<Finding>> {
        let source = Source::new(format!("{}.yaml", self.name), self.manifest());
        let wiring = crate::wiring(&source, catalog, values)?;
        crate::plan::derive_definition(&wiring)
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

    /// Formats the manifest.
    pub(super) fn manifest(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=schema/assembly.json\n\
             # Imported from {}: with `--values {}` it renders to the same task definition.\n",
            self.file, self.name
        );

        text += &yaml::entry("name", &json!(self.name), 0);
        text += &yaml::entry("summary", &json!(format!("Imported from {}", self.file)), 0);
        let names_of = |kind: Kind| -> Vec<&str> {
            let members = self.members.iter().filter(|member| member.kind == kind);
            members.map(|member| member.component.as_str()).collect()
        };

        text += &yaml::entry("app", &json!(names_of(Kind::App).first()), 0);
        let lists = [
            ("ingress", Kind::Proxy),
            ("sidecars", Kind::Sidecar),
            ("init", Kind::Init),
        ];

        for (field, kind) in lists {
            let names = names_of(kind);
            if !names.is_empty() {
                text += &yaml::entry(field, &json!(names), 0);
            }
        }

        // The default order of the assembler; any other needs `order`.
        let default_order = [Kind::Proxy, Kind::App, Kind::Sidecar, Kind::Init]
            .map(names_of)
            .concat();
        let order: Vec<&str> = self
            .members
            .iter()
            .map(|member| member.component.as_str())
            .collect();

        if order != default_order {
            text += &yaml::entry("order", &json!(order), 0);
        }
        text += &self.format_section("settings", |member| &member.settings);
        text += &self.format_section("secrets", |member| &member.secrets);
        text += "\n# The definition does not contain the number of tasks.\nservice: {}\n";
        if !self.size.is_empty() {
            text += &yaml::entry("size", &Value::Object(self.size.clone()), 0);
        }

        text + &self.format_overrides() + &self.format_patch() + &self.format_rules()
    }

    fn format_section(
        &self,
        name: &str,
        entries: impl Fn(&DraftContainer) -> &Map<String, Value>,
    ) -> String {
        let members = self
            .members
            .iter()
            .filter(|member| !entries(member).is_empty());
        let lines: String = members
            .map(|member| {
                let value = self
                    .context
                    .parametrise(&Value::Object(entries(member).clone()));
                yaml::entry(&member.component, &value, 2)
            })
            .collect();
        with_heading(&format!("\n{name}:\n"), lines)
    }

    fn format_overrides(&self) -> String {
        let mut lines = String::new();
        for member in self
            .members
            .iter()
            .filter(|member| !member.overrides.is_empty())
        {
            let _ = writeln!(lines, "  {}:", member.component);
            // Consecutive fields with the same reason share a comment.
            let mut last = "";
            let mut fields: Vec<_> = member.overrides.iter().collect();
            fields.sort_by_key(|(field, _)| {
                ORDER
                    .iter()
                    .position(|name| name == field)
                    .unwrap_or(ORDER.len())
            });

            for (field, value) in fields {
                let why = why(field, value);
                if why != last {
                    let _ = writeln!(lines, "    # {why}");
                }
                last = why;
                lines += &yaml::entry(field, &self.context.parametrise(value), 4);
            }
        }

        let head = "\n# Derived fields that differ from the original. Remove a line to use the derived value.\noverrides:\n";
        with_heading(head, lines)
    }

    fn format_patch(&self) -> String {
        let lines = self.patch.iter().map(|(field, value)| {
            let value = self.context.parametrise(value);
            yaml::entry(field, &value, 2)
        });
        let head = "\n# Fields of the task that no other field of the manifest sets.\npatch:\n";
        with_heading(head, lines.collect())
    }

    fn format_rules(&self) -> String {
        let lines = self.lowered.iter().map(|(rule, message)| {
            let reason = format!("as imported from {}: {message}", self.file).replace("${", "$${");
            yaml::entry(rule, &json!({ "severity": "warning", "reason": reason }), 2)
        });
        let head = "\n# Errors of the original. Fix them, then remove the lines.\nrules:\n";
        with_heading(head, lines.collect())
    }
}

fn with_heading(head: &str, lines: String) -> String {
    if lines.is_empty() {
        lines
    } else {
        format!("{head}{lines}")
    }
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

/// Returns whether a component of this kind fits the role of the container.
fn fits_role(kind: Kind, is_app: bool) -> bool {
    (kind == Kind::App) == is_app
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

fn parse_size(text: Option<&str>, is_cpu: bool) -> Option<u32> {
    use task_definition::fargate_sizes::{parse_cpu, parse_memory};
    if is_cpu {
        parse_cpu(text?)
    } else {
        parse_memory(text?)
    }
}

/// Returns the original task with the derived containers, so that both are normalised with the same task fields.
fn same_task(derived: &TaskDefinition, original: &TaskDefinition) -> TaskDefinition {
    TaskDefinition {
        container_definitions: derived.container_definitions.clone(),
        ..original.clone()
    }
}

/// Returns the overlay for the fields with different normal inputs, with the spelling of the original.
fn diff_fields(
    derived: &Value,
    original: &Value,
    normal: &Value,
    expected: &Value,
) -> Map<String, Value> {
    let keys = |value: &Value| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };

    let mut all = keys(original);
    all.extend(
        keys(derived)
            .into_iter()
            .filter(|key| original.get(key).is_none()),
    );

    let different = all
        .into_iter()
        .filter(|key| normal.get(key) != expected.get(key));
    different
        .filter_map(|key| {
            let over = overlay_diff::diff(derived.get(&key), original.get(&key))?;
            Some((key, over))
        })
        .collect()
}

/// The order of overridden fields; all others follow.
const ORDER: [&str; 8] = [
    "name",
    "image",
    "cpu",
    "memory",
    "memoryReservation",
    "essential",
    "restartPolicy",
    "dependsOn",
];

/// Returns the comment above an overridden field.
fn why(field: &str, value: &Value) -> &'static str {
    match (field, value) {
        ("name", _) => "the name of the container in the original",
        ("image", _) => "the image reference of the original",
        ("cpu" | "memory" | "memoryReservation", Value::Null) => "the original does not set it",
        ("cpu" | "memory" | "memoryReservation", _) => "the value of the original",
        ("dependsOn", Value::Null) => "the original starts it without waiting",
        ("dependsOn", _) => "the order of the original",
        ("essential" | "restartPolicy", _) => {
            "whether the task ends with it, and whether it is restarted"
        }
        ("logConfiguration", Value::Null) => "the original does not log it",
        ("logConfiguration", _) => "its log destination",
        ("portMappings", _) => "the port mappings of the original",
        ("mountPoints" | "volumesFrom", _) => "the mounts of the original",
        ("environment" | "secrets" | "environmentFiles", _) => "variables that are not settings",
        (_, Value::Null) => "the original does not have it",
        _ => "as in the original",
    }
}
