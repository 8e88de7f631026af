//! The catalog: every component that an assembly may name, as its `component.yaml` describes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use task_definition::source::{self, Node, Source};
use task_definition::{Finding, Place, escape};

use crate::{decode, rules};

mod invalid_value;
pub(crate) use invalid_value::InvalidValue;
mod file;
pub use file::{
    Admin, AppProtocol, Attempt, Commands, ComponentFile, Firelens, Health, Kind, Local,
    LocalFallback, LocalProgram, Permission, ProvidedInterface, RequiredInterface, Router,
    SettingDeclaration, SettingFormat, SettingKind, Size, Stop,
};

/// A component and the lines that describe it. Every assembly that names it shares them.
#[derive(Debug, Clone, PartialEq)]
pub struct Component(Arc<ComponentData>);

#[derive(Debug, PartialEq)]
struct ComponentData {
    file: ComponentFile,
    source: Source,
    node: Node,
}

impl Component {
    /// Reads a `component.yaml`.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let (file, mut findings) = decode::read::<ComponentFile>(source, &node);
        if let Some(file) = file {
            let component = Self(Arc::new(ComponentData {
                file,
                source: source.clone(),
                node,
            }));

            findings.extend(component.contradictions());
            if findings.is_empty() {
                return Ok(component);
            }
        }

        Err(findings)
    }

    /// The fields.
    pub fn file(&self) -> &ComponentFile {
        &self.0.file
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.file.name
    }

    /// The environment variable of a setting.
    pub fn variable(&self, setting: &str) -> String {
        let named = self
            .0
            .file
            .settings
            .get(setting)
            .and_then(|one| one.env.clone());
        named.unwrap_or_else(|| {
            let name = setting.to_uppercase().replace('-', "_").replace('.', "__");
            format!("{}{name}", self.prefix())
        })
    }

    /// How the environment variables that are meant for it begin: `TLS_PROXY_`.
    pub fn prefix(&self) -> String {
        format!("{}_", self.name().to_uppercase().replace('-', "_"))
    }

    /// Its file, as it was written.
    pub fn text(&self) -> &str {
        &self.0.source.text
    }

    /// The line of a field.
    pub fn place(&self, pointer: &str) -> Place {
        let span = self
            .0
            .node
            .at(pointer)
            .map_or(self.0.node.span, |node| node.span);
        Place::in_text(&self.0.source, span)
    }

    /// What the file says in one place and denies in another.
    fn contradictions(&self) -> Vec<Finding> {
        let file = &self.0.file;
        let provided = file
            .provides
            .iter()
            .map(|(name, one)| ("provides", name, &one.setting));
        let required = file
            .requires
            .iter()
            .map(|(name, one)| ("requires", name, &one.setting));
        let settings = provided.chain(required);
        let mut findings: Vec<Finding> = settings
            .filter(|(_, _, setting)| !setting.is_empty() && !file.settings.contains_key(*setting))
            .map(|(list, name, setting)| {
                let place = self.place(&format!("/{list}/{name}/setting"));
                rules::m18_inconsistent_component::unknown_setting(place, setting)
            })
            .collect();

        if file.kind == Kind::Proxy && !file.requires.contains_key(UPSTREAM) {
            findings.push(rules::m18_inconsistent_component::proxy_without_upstream(
                self.place("/kind"),
                &file.name,
            ));
        }

        if let Some(firelens) = &file.firelens
            && !file.settings.contains_key(&firelens.output)
        {
            let place = self.place("/firelens/output");
            findings.push(rules::m18_inconsistent_component::unknown_setting(
                place,
                &firelens.output,
            ));
        }

        for (setting, text) in &file.trigger {
            let place = self.place(&format!("/trigger/{}", escape(setting)));
            if !file.settings.contains_key(setting) {
                findings.push(rules::m42_unknown_trigger_field::unknown_setting(
                    place.clone(),
                    setting,
                ));
            }

            let unknown = crate::trigger::fields(text).into_iter();
            let unknown =
                unknown.filter(|field| !rules::m42_unknown_trigger_field::is_known(field));
            findings.extend(unknown.map(|field| {
                rules::m42_unknown_trigger_field::unknown_field(place.clone(), field)
            }));
        }

        for (list, settings) in file.one_of.iter().enumerate() {
            let unknown = settings.iter().enumerate();
            let unknown = unknown.filter(|(_, setting)| !file.settings.contains_key(*setting));
            findings.extend(unknown.map(|(at, setting)| {
                let place = self.place(&format!("/one_of/{list}/{at}"));
                rules::m18_inconsistent_component::unknown_setting(place, setting)
            }));
        }

        if !is_fitting(file) {
            findings.push(rules::m04_invalid_name::invalid_name(
                self.place("/name"),
                &file.name,
            ));
        }
        findings
    }
}

/// A component of ours is also a package and a binary; an image of others is a container only.
fn is_fitting(
    ComponentFile {
        name, container, ..
    }: &ComponentFile,
) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match container {
        None => crate::manifest::is_name(name),
        Some(_) => (1..=255).contains(&name.len()) && name.chars().all(fits),
    }
}

/// What a proxy calls its requirement of the next hop.
pub const UPSTREAM: &str = "upstream";

/// Every component that an assembly may name.
///
/// A component whose file is wrong is kept with its findings: only an assembly that names it suffers.
#[derive(Debug, Clone, Default)]
pub struct Catalog(BTreeMap<String, Result<Component, Vec<Finding>>>);

impl Catalog {
    /// Reads the components of a project.
    pub fn read(sources: &[Source]) -> Self {
        let named = sources
            .iter()
            .map(|source| (name_of(source), Component::read(source)));
        Self(named.collect())
    }

    /// These components and one more, which wins.
    pub fn with(mut self, source: &Source) -> Self {
        self.0.insert(name_of(source), Component::read(source));
        self
    }

    /// The component of that name, or what is wrong with its file; nothing when there is none.
    pub fn component(&self, name: &str) -> Option<Result<&Component, &[Finding]>> {
        Some(self.0.get(name)?.as_ref().map_err(Vec::as_slice))
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(String::as_str)
    }
}

/// The name a file gives itself, or its folder's.
fn name_of(source: &Source) -> String {
    let node = source::parse(source).ok();
    let named = node.as_ref().and_then(|node| node.get("name")?.text());
    let folder = source.name.rsplit(['/', '\\']).nth(1);
    named.or(folder).unwrap_or(&source.name).to_owned()
}

impl SettingKind {
    /// The word in messages.
    pub fn description(self) -> &'static str {
        match self {
            Self::String => "text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "`true` or `false`",
            Self::Array => "a list",
            Self::Object => "a map",
        }
    }

    /// The text of a value in the environment, if it is of this kind.
    pub fn text(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::String, Value::String(text)) => Some(text.clone()),
            // What a person writes without quotes (`audience: 7`) is still text to the program.
            (Self::String, Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            (Self::Integer, Value::Number(number)) if number.as_i64().is_some() => {
                Some(number.to_string())
            }
            (Self::Integer, Value::String(text)) if text.parse::<i64>().is_ok() => {
                Some(text.clone())
            }
            (Self::Number, Value::Number(number)) => Some(number.to_string()),
            (Self::Number, Value::String(text)) if text.parse::<f64>().is_ok() => {
                Some(text.clone())
            }
            (Self::Boolean, Value::Bool(truth)) => Some(truth.to_string()),
            (Self::Boolean, Value::String(text)) if text == "true" || text == "false" => {
                Some(text.clone())
            }
            (Self::Array, Value::Array(_)) | (Self::Object, Value::Object(_)) => {
                Some(value.to_string())
            }
            _ => None,
        }
    }
}
