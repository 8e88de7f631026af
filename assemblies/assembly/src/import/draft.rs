//! The manifest while it is being worked out, and as text.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use task_definition::source::Source;
use task_definition::{ContainerDefinition, Finding, TaskDefinition, normalise};

use super::account_context::{AccountContext, escape_references};
use super::{ImportOptions, describe, overlay_diff, roles, yaml};
use crate::component::{Catalog, Component, Kind};
use crate::manifest::is_name;
use crate::values::Values;

/// How often overrides are compared with what they bring about.
const ROUNDS: usize = 4;

/// What is done with components that the catalog knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CatalogMatch {
    /// They stand for the containers whose images they have.
    Reuse,
    /// Every container gets a description of its own.
    Ignore,
}

/// A manifest that is not finished.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) components: Vec<(String, String)>,
    members: Vec<AssemblyMember>,
    size: Map<String, Value>,
    patch: Map<String, Value>,
    /// Id, and what was found.
    lowered: Vec<(&'static str, String)>,
    file: String,
    context: AccountContext,
}

/// A container and what the manifest says of it.
#[derive(Debug, Clone)]
struct AssemblyMember {
    component: String,
    kind: Kind,
    /// Its wired settings are left to be derived where they come out the same.
    known: Option<Component>,
    settings: Map<String, Value>,
    secrets: Map<String, Value>,
    overrides: Map<String, Value>,
}

impl Draft {
    /// Roles, components and settings; what is derived is not compared yet.
    pub(super) fn new(
        definition: &TaskDefinition,
        catalog: &Catalog,
        options: &ImportOptions,
        context: &AccountContext,
        known: CatalogMatch,
    ) -> Result<Self, String> {
        let name = match &options.name {
            Some(name) if is_name(name) => name.clone(),
            Some(name) => {
                return Err(format!(
                    "`{name}` cannot be a name; write `{}`",
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
            let component = match known {
                CatalogMatch::Reuse => roles::find_component(container, catalog),
                CatalogMatch::Ignore => None,
            };

            let component = component.filter(|one| {
                let twice = draft
                    .members
                    .iter()
                    .any(|member| member.component == one.name());

                // What an import has written is no news to the next one of the same definition.
                let kind = if at == app {
                    Kind::App
                } else {
                    roles::kind(definition, container)
                };

                let own = describe::component(one.name(), kind, container, definition, context);
                !twice && fits_role(one.file().kind, at == app) && one.text() != own
            });

            let kind = match component {
                _ if at == app => Kind::App,
                Some(one) => one.file().kind,
                None => roles::kind(definition, container),
            };

            let member = match component {
                Some(component) => reuse_component(component, kind, container, definition),
                None => draft.describe_container(kind, container, definition, catalog),
            };
            draft.members.push(member);
        }

        if let (Some(cpu), Some(memory)) = (
            parse_size(definition.cpu.as_deref(), true),
            parse_size(definition.memory.as_deref(), false),
        ) {
            draft.size.insert("cpu".to_owned(), json!(cpu));
            draft.size.insert("memory".to_owned(), json!(memory));
        }

        let platform = definition.runtime_platform.as_ref();
        if platform.and_then(|one| one.cpu_architecture.as_deref()) == Some("ARM64") {
            draft.size.insert("architecture".to_owned(), json!("ARM64"));
        }

        Ok(draft)
    }

    fn describe_container(
        &mut self,
        kind: Kind,
        container: &ContainerDefinition,
        definition: &TaskDefinition,
        catalog: &Catalog,
    ) -> AssemblyMember {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let plain: String = container
            .name
            .chars()
            .map(|c| if fits(c) { c } else { '-' })
            .collect();
        let text =
            |name: &str| describe::component(name, kind, container, definition, &self.context);

        // Another task may have a container of that name that is something else.
        let is_free = |name: &str| match catalog.component(name) {
            None => true,
            Some(Ok(known)) => known.text() == text(name),
            Some(Err(_)) => false,
        };
        let twice = |name: &str| self.components.iter().any(|(one, _)| one == name);
        let long = format!("{}-{plain}", self.name);
        let numbered = (2..100).map(|number| format!("{long}-{number}"));
        let mut names = [plain, long.clone()].into_iter().chain(numbered);
        let name = names
            .find(|name| is_free(name) && !twice(name))
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
            let secret = container.secrets.iter().find(|one| one.name == variable);

            if let (None, Some(secret)) = (plain, secret) {
                secrets.insert(setting, json!(secret.value_from));
            }
        }

        if container.firelens_configuration.is_some() {
            settings.extend(log_output(definition).map(|output| ("log_output".to_owned(), output)));
        }

        let text = text(&name);
        self.components.push((name.clone(), text));
        AssemblyMember {
            component: name,
            kind,
            known: None,
            settings,
            secrets,
            overrides,
        }
    }

    /// The catalog with the components that are written.
    pub(super) fn catalog(&self, catalog: &Catalog) -> Catalog {
        let written = self.components.iter();
        written.fold(catalog.clone(), |catalog, (name, text)| {
            catalog.with(&Source::new(format!("{name}/component.yaml"), text.clone()))
        })
    }

    /// Overrides and patches whatever is not derived as the original has it.
    pub(super) fn reconcile(
        &mut self,
        definition: &TaskDefinition,
        catalog: &Catalog,
        values: &Values,
    ) -> Result<(), Vec<Finding>> {
        let derived = self.derive(catalog, values)?;
        self.say_what_is_not_wired(definition, &derived);

        // An override of one share changes what is derived of the others.
        for _ in 0..ROUNDS {
            let derived = self.derive(catalog, values)?;
            if !self.override_containers(definition, &derived) {
                break;
            }
        }

        let wanted = normalise(definition);
        let derived = self.derive(catalog, values)?;
        let sides = [&derived, definition, &normalise(&derived), &wanted];
        let [derived, original, normal, wanted] = sides.map(|one| {
            let mut one = json!(one);
            one.as_object_mut()
                .map(|fields| fields.shift_remove("containerDefinitions"));
            one
        });

        self.patch = diff_fields(&derived, &original, &normal, &wanted);
        self.leave_out_the_size(definition, catalog, values);
        Ok(())
    }

    /// Says whether there was anything to override.
    fn override_containers(
        &mut self,
        definition: &TaskDefinition,
        derived: &TaskDefinition,
    ) -> bool {
        let derived = same_task(derived, definition);
        let (normal, wanted) = (normalise(&derived), normalise(definition));
        let mut any = false;

        for (at, member) in self.members.iter_mut().enumerate() {
            let sides = [&derived, definition, &normal, &wanted];
            let [derived, original, normal, wanted] =
                sides.map(|one| json!(one.container_definitions[at]));
            let over = diff_fields(&derived, &original, &normal, &wanted);

            any |= !over.is_empty();
            for (field, value) in over {
                // What was said before led half of the way; the whole value leads all of it.
                let again = member.overrides.contains_key(&field);
                let whole = original.get(&field).cloned().unwrap_or(Value::Null);
                member
                    .overrides
                    .insert(field, if again { whole } else { value });
            }
        }

        any
    }

    /// The size is said only if another would be derived.
    fn leave_out_the_size(
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

    /// Settings of known components that the wiring gives otherwise, or not at all.
    fn say_what_is_not_wired(&mut self, definition: &TaskDefinition, derived: &TaskDefinition) {
        for (at, member) in self.members.iter_mut().enumerate() {
            let Some(component) = &member.known else {
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
        crate::plan::derived(&wiring)
    }

    /// Makes warnings of errors; says whether there was one that is not a warning yet.
    pub(super) fn lower(&mut self, errors: &[Finding]) -> bool {
        let before = self.lowered.len();
        for one in errors {
            if self.lowered.iter().all(|(rule, _)| *rule != one.rule) {
                self.lowered.push((one.rule, one.message.clone()));
            }
        }
        self.lowered.len() > before
    }

    /// The text.
    pub(super) fn manifest(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=schema/assembly.json\n\
             # Imported from {}: with `--values {}` it renders to the same task definition.\n",
            self.file, self.name
        );

        text += &yaml::entry("name", &json!(self.name), 0);
        text += &yaml::entry("summary", &json!(format!("Imported from {}", self.file)), 0);
        let of = |kind: Kind| -> Vec<&str> {
            let members = self.members.iter().filter(|one| one.kind == kind);
            members.map(|one| one.component.as_str()).collect()
        };

        text += &yaml::entry("app", &json!(of(Kind::App).first()), 0);
        let lists = [
            ("ingress", Kind::Proxy),
            ("sidecars", Kind::Sidecar),
            ("init", Kind::Init),
        ];

        for (field, kind) in lists {
            let names = of(kind);
            if !names.is_empty() {
                text += &yaml::entry(field, &json!(names), 0);
            }
        }

        let usual = [Kind::Proxy, Kind::App, Kind::Sidecar, Kind::Init]
            .map(of)
            .concat();
        let order: Vec<&str> = self
            .members
            .iter()
            .map(|one| one.component.as_str())
            .collect();

        if order != usual {
            text += &yaml::entry("order", &json!(order), 0);
        }
        text += &self.section("settings", |one| &one.settings);
        text += &self.section("secrets", |one| &one.secrets);
        text += "\n# How many tasks serve, the definition does not say.\nservice: {}\n";
        if !self.size.is_empty() {
            text += &yaml::entry("size", &Value::Object(self.size.clone()), 0);
        }

        text + &self.overrides() + &self.rest() + &self.rules()
    }

    fn section(&self, name: &str, of: impl Fn(&AssemblyMember) -> &Map<String, Value>) -> String {
        let said = self.members.iter().filter(|one| !of(one).is_empty());
        let said: String = said
            .map(|one| {
                let value = self.context.parametrise(&Value::Object(of(one).clone()));
                yaml::entry(&one.component, &value, 2)
            })
            .collect();
        with_heading(&format!("\n{name}:\n"), said)
    }

    fn overrides(&self) -> String {
        let mut said = String::new();
        for member in self.members.iter().filter(|one| !one.overrides.is_empty()) {
            let _ = writeln!(said, "  {}:", member.component);
            let mut last = "";
            let mut fields: Vec<_> = member.overrides.iter().collect();
            fields.sort_by_key(|(field, _)| {
                ORDER
                    .iter()
                    .position(|one| one == field)
                    .unwrap_or(ORDER.len())
            });

            for (field, value) in fields {
                let why = why(field, value);
                if why != last {
                    let _ = writeln!(said, "    # {why}");
                }
                last = why;
                said += &yaml::entry(field, &self.context.parametrise(value), 4);
            }
        }

        let head = "\n# What would be derived otherwise; take a line away to have that instead.\noverrides:\n";
        with_heading(head, said)
    }

    fn rest(&self) -> String {
        let said = self.patch.iter();
        let said = said.map(|(field, value)| {
            let value = self.context.parametrise(value);
            yaml::entry(field, &value, 2)
        });
        let head = "\n# Names and fields of the task that no other word here has.\npatch:\n";
        with_heading(head, said.collect())
    }

    fn rules(&self) -> String {
        let said = self.lowered.iter().map(|(rule, message)| {
            let reason = format!("as imported from {}: {message}", self.file).replace("${", "$${");
            yaml::entry(rule, &json!({ "severity": "warning", "reason": reason }), 2)
        });
        let head = "\n# Errors of the original. Correct them, then take the lines away.\nrules:\n";
        with_heading(head, said.collect())
    }
}

fn with_heading(head: &str, said: String) -> String {
    if said.is_empty() {
        said
    } else {
        format!("{head}{said}")
    }
}

/// A family as a name: small letters, digits and `-`.
pub(crate) fn to_name(family: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let letters = family.to_ascii_lowercase();
    let letters: String = letters
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    let words: Vec<&str> = letters.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name: String = name.chars().take(54).collect();
    let name = name.trim_end_matches('-');

    if name.is_empty() {
        "imported".to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether a component of that kind can stand where the container stands.
fn fits_role(kind: Kind, is_app: bool) -> bool {
    (kind == Kind::App) == is_app
}

fn reuse_component(
    component: &Component,
    kind: Kind,
    container: &ContainerDefinition,
    definition: &TaskDefinition,
) -> AssemblyMember {
    let mut overrides = Map::new();
    if component.name() != container.name {
        overrides.insert("name".to_owned(), json!(container.name));
    }

    overrides.insert("image".to_owned(), json!(container.image));
    let mut secrets = Map::new();
    for setting in component.file().settings.keys() {
        let variable = component.variable(setting);
        let found = container.secrets.iter().find(|one| one.name == variable);
        secrets.extend(found.map(|one| (setting.clone(), json!(one.value_from))));
    }

    // What must be said is said at once; the rest when it is known what the wiring gives.
    let file = component.file();
    let wired = |setting: &String| file.requires.values().any(|one| one.setting == *setting);
    let required = file.settings.iter().filter(|(name, one)| {
        let chosen = file.one_of.iter().flatten().any(|setting| setting == *name);
        (one.required || chosen) && !one.secret && !wired(name)
    });
    let required = required.filter_map(|(setting, _)| {
        let value = container.variable(&component.variable(setting))?;
        Some((setting.clone(), parse_setting(value)))
    });

    let output = file
        .firelens
        .iter()
        .filter_map(|one| Some((one.output.clone(), log_output(definition)?)));
    let settings = required.chain(output);

    AssemblyMember {
        component: component.name().to_owned(),
        kind,
        settings: settings.collect(),
        known: Some(component.clone()),
        secrets,
        overrides,
    }
}

/// A variable's text as a person would write it: maps and lists as such.
pub(crate) fn parse_setting(text: &str) -> Value {
    let parsed = serde_json::from_str(text).ok();
    let parsed = parsed.filter(|one: &Value| one.is_object() || one.is_array());
    parsed.unwrap_or_else(|| json!(text))
}

/// Where the app's lines go, or else somebody's.
fn log_output(definition: &TaskDefinition) -> Option<Value> {
    let logs = definition
        .container_definitions
        .iter()
        .filter_map(|one| one.log_configuration.as_ref());
    let log = logs.rev().find(|log| log.log_driver == "awsfirelens")?;

    // Values are filled in it once more when it is known who logs.
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

/// The derived containers in the original's task, so that both are filled in by the same rules.
fn same_task(derived: &TaskDefinition, original: &TaskDefinition) -> TaskDefinition {
    TaskDefinition {
        container_definitions: derived.container_definitions.clone(),
        ..original.clone()
    }
}

/// The fields that differ in their normal forms, in the words of the original.
fn diff_fields(
    derived: &Value,
    original: &Value,
    normal: &Value,
    wanted: &Value,
) -> Map<String, Value> {
    let keys = |one: &Value| {
        one.as_object()
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

    let differing = all
        .into_iter()
        .filter(|key| normal.get(key) != wanted.get(key));
    differing
        .filter_map(|key| {
            let over = overlay_diff::diff(derived.get(&key), original.get(&key))?;
            Some((key, over))
        })
        .collect()
}

/// What belongs together stands together.
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

/// Why a field is overridden: what the original has, or does not.
fn why(field: &str, value: &Value) -> &'static str {
    match (field, value) {
        ("name", _) => "what the container is called in the original",
        ("image", _) => "the image as it was named",
        ("cpu" | "memory" | "memoryReservation", Value::Null) => {
            "the original sets no share for it"
        }
        ("cpu" | "memory" | "memoryReservation", _) => "the share it has in the original",
        ("dependsOn", Value::Null) => "the original starts it without waiting",
        ("dependsOn", _) => "the order of the original",
        ("essential" | "restartPolicy", _) => {
            "whether the task ends with it, and whether it is started again"
        }
        ("logConfiguration", Value::Null) => "the original keeps no log of it",
        ("logConfiguration", _) => "where its log goes",
        ("portMappings", _) => "ports as the original maps them",
        ("mountPoints" | "volumesFrom", _) => "volumes as the original mounts them",
        ("environment" | "secrets" | "environmentFiles", _) => "variables that are no settings",
        (_, Value::Null) => "the original does not have it",
        _ => "as in the original",
    }
}
