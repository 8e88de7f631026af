//! The catalog: the components that an assembly may use, read from their `component.yaml`.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::source::{self, Node, Source};
use diagnostics::{Finding, Location, escape};
use ecs_rules::{ImageFact, ImageFacts};
use serde_json::Value;
use task_definition::{ContainerDefinition, ImageReference};

use crate::{decode, rules};

pub(crate) mod byte_size;
pub use byte_size::{ByteSize, ParseByteSizeError};
mod bundle;
pub use bundle::{Bundle, BundleFile, BundleKind};
mod invalid_value;
pub(crate) use invalid_value::InvalidValue;
mod file;
pub use file::{
    Admin, AppProtocol, Commands, ComponentFile, Firelens, Health, Kind, Permission,
    ProvidedInterface, RequiredInterface, Router, SettingDeclaration, SettingFormat, SettingKind,
    Size, Stop,
};
mod image_build;
pub use image_build::{ImageBuild, PrepareOutputError, PreparedBuild};
mod local;
pub use local::{Attempt, Local, LocalFallback, LocalProgram, TokenSettings};

/// A component with the source of its description. Clones share the data.
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

            // Contradictions need all fields, so they are checked after decoding.
            findings.extend(component.contradictions());
            if findings.is_empty() {
                return Ok(component);
            }
        }

        Err(findings)
    }

    /// Returns the fields.
    pub fn file(&self) -> &ComponentFile {
        &self.0.file
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.0.file.name
    }

    /// Returns the environment variable of a setting.
    pub fn variable(&self, setting: &str) -> String {
        self.0.file.variable(setting)
    }

    /// Returns the prefix of its environment variables: `MY_PROXY_`.
    pub fn prefix(&self) -> String {
        self.0.file.prefix()
    }

    /// Returns the name of its file, as it was passed to [`Self::read`].
    pub fn file_name(&self) -> &str {
        &self.0.source.name
    }

    /// Returns the text of its file.
    pub fn text(&self) -> &str {
        &self.0.source.text
    }

    /// Returns the location of a field, by JSON pointer.
    pub fn location(&self, pointer: &str) -> Location {
        let span = self
            .0
            .node
            .at(pointer)
            .map_or(self.0.node.span, |node| node.span);
        Location::from_span(&self.0.source, span)
    }

    /// Reports fields that contradict each other.
    fn contradictions(&self) -> Vec<Finding> {
        let file = &self.0.file;
        let unknown_setting = |(pointer, setting): (String, &String)| {
            let is_unknown = !file.settings.contains_key(setting);
            let location = || self.location(&pointer);
            is_unknown
                .then(|| rules::m18_inconsistent_component::unknown_setting(location(), setting))
        };

        let provided = file.provides.iter();
        let provided = provided
            .map(|(name, provided)| (format!("/provides/{name}/setting"), &provided.setting));
        let required = file.requires.iter();
        let required = required
            .map(|(name, required)| (format!("/requires/{name}/setting"), &required.setting));
        // An empty setting means a fixed address, which needs no declaration.
        let addresses = provided
            .chain(required)
            .filter(|(_, setting)| !setting.is_empty());
        let mut findings: Vec<Finding> = addresses.filter_map(unknown_setting).collect();

        // Without an upstream the proxy could not be wired to the next hop.
        if file.kind == Kind::Proxy && !file.requires.contains_key(UPSTREAM) {
            findings.push(rules::m18_inconsistent_component::proxy_without_upstream(
                self.location("/kind"),
                &file.name,
            ));
        }

        let output = file.firelens.iter();
        let output = output.map(|firelens| ("/firelens/output".to_owned(), &firelens.output));
        let token = file.token().into_iter().flat_map(|token| {
            [
                ("/local/token/issuer".to_owned(), &token.issuer),
                ("/local/token/audience".to_owned(), &token.audience),
            ]
        });
        findings.extend(output.chain(token).filter_map(unknown_setting));

        findings.extend(self.trigger_findings());
        for (list, settings) in file.one_of.iter().enumerate() {
            let settings = settings.iter().enumerate();
            let settings = settings.map(|(at, setting)| (format!("/one_of/{list}/{at}"), setting));
            findings.extend(settings.filter_map(unknown_setting));
        }

        if !has_valid_name(file) {
            findings.push(rules::m04_invalid_name::invalid_name(
                self.location("/name"),
                &file.name,
            ));
        }
        findings
    }

    /// Reports fields of `trigger` that name no setting of the component, or no field of the event.
    fn trigger_findings(&self) -> Vec<Finding> {
        let file = &self.0.file;
        let mut findings = Vec::new();
        for (setting, text) in &file.trigger {
            let location = self.location(&format!("/trigger/{}", escape(setting)));
            if !file.settings.contains_key(setting) {
                findings.push(rules::m42_unknown_trigger_field::unknown_setting(
                    location.clone(),
                    setting,
                ));
            }

            let unknown = crate::trigger::fields(text).into_iter();
            let unknown =
                unknown.filter(|field| !rules::m42_unknown_trigger_field::is_known(field));
            findings.extend(unknown.map(|field| {
                rules::m42_unknown_trigger_field::unknown_field(location.clone(), field)
            }));
        }

        findings
    }
}

/// Returns whether the name is valid. A component of this project is also a package and a binary, so the rules for its
/// name are stricter than those for a container.
fn has_valid_name(
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

/// The name of a proxy's requirement for the next hop.
pub const UPSTREAM: &str = "upstream";

/// All components that an assembly may use, and the bundles that contain some of them.
///
/// A component with an invalid file is kept with its findings, which only affect assemblies that use it.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    components: BTreeMap<String, Result<Component, Vec<Finding>>>,
    bundles: BTreeMap<String, Result<Bundle, Vec<Finding>>>,
}

impl Catalog {
    /// Reads the components and bundles of a project: the text of each `component.yaml` and `bundle.yaml`.
    pub fn read(sources: &[Source]) -> Self {
        let (bundles, components): (Vec<_>, Vec<_>) =
            sources.iter().partition(|source| bundle::is_bundle(source));
        let components = components
            .into_iter()
            .map(|source| (name_of(source), Component::read(source)))
            .collect();

        // The members of a bundle are compared with the components, so these are read first.
        let bundles = bundles
            .into_iter()
            .map(|source| (name_of(source), Bundle::read(source, &components)))
            .collect();
        Self {
            components,
            bundles,
        }
    }

    /// Adds a component, which replaces an existing one of the same name.
    pub fn with(mut self, source: &Source) -> Self {
        self.components
            .insert(name_of(source), Component::read(source));
        self
    }

    /// Returns the component of this name, or the findings of its file, or `None` if it does not exist.
    pub fn component(&self, name: &str) -> Option<Result<&Component, &[Finding]>> {
        Some(self.components.get(name)?.as_ref().map_err(Vec::as_slice))
    }

    /// Returns the names of the components, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.components.keys().map(String::as_str)
    }

    /// Returns the bundles, sorted by name; in place of one with an invalid file its findings.
    pub fn bundles(&self) -> impl Iterator<Item = Result<&Bundle, &[Finding]>> {
        let bundles = self.bundles.values();
        bundles.map(|bundle| bundle.as_ref().map_err(Vec::as_slice))
    }

    /// Returns the bundle of this name, or the findings of its file, or `None` if it does not exist.
    pub fn bundle(&self, name: &str) -> Option<Result<&Bundle, &[Finding]>> {
        Some(self.bundles.get(name)?.as_ref().map_err(Vec::as_slice))
    }

    /// Returns the bundle whose image a container runs, and the component that it runs of it.
    pub fn find_bundled(&self, container: &ContainerDefinition) -> Option<(&Bundle, &Component)> {
        self.bundles().filter_map(Result::ok).find_map(|bundle| {
            let component = self.component(bundle.member_of(container)?)?;
            Some((bundle, component.ok()?))
        })
    }

    /// Returns what the ECS rules should know about the images of the components and bundles.
    pub fn image_facts(&self) -> ImageFacts {
        let components = self.components.values();
        let components = components.filter_map(|component| component.as_ref().ok());
        let own = components
            .clone()
            .map(|component| (component, component.file().image.as_str(), None));
        let bundled = self.bundles().filter_map(Result::ok).flat_map(|bundle| {
            let members = components
                .clone()
                .filter(|component| bundle.contains(component.name()));
            members.map(move |component| (component, bundle.file().image.as_str(), Some(bundle)))
        });
        image_facts(own.chain(bundled))
    }
}

/// Returns the facts that follow from the component contract, by image repository. An image of a bundle has the
/// facts of all its programs in common, and those of one program by the program's name.
pub(crate) fn image_facts<'c>(
    images: impl Iterator<Item = (&'c Component, &'c str, Option<&'c Bundle>)>,
) -> ImageFacts {
    let mut facts = ImageFacts::new();
    for (component, image, bundle) in images {
        // Third-party images do not keep the contract.
        let file = component.file();
        if file.container.is_some() {
            continue;
        }

        // `FROM scratch`, with the written folders declared as volumes of the image's user.
        let name = ImageReference::parse(image).name();
        facts.insert(name, [ImageFact::NoShell, ImageFact::OwnsVolumes]);
        if !file.provides.contains_key("otlp") {
            continue;
        }

        match bundle {
            None => facts.insert(name, [ImageFact::TelemetryAgent]),
            Some(_) => facts.insert_program(name, component.name(), [ImageFact::TelemetryAgent]),
        }
    }

    facts
}

/// Returns the name in a file, or that of its folder if the file has none.
fn name_of(source: &Source) -> String {
    let node = source::parse(source).ok();
    let declared = node.as_ref().and_then(|node| node.get("name")?.text());
    let folder = source.name.rsplit(['/', '\\']).nth(1);
    declared.or(folder).unwrap_or(&source.name).to_owned()
}

impl SettingKind {
    /// Returns the description for messages: `a whole number`.
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

    /// Returns the text of a value for the environment, if the value has this type.
    pub fn text(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::String, Value::String(text)) => Some(text.clone()),
            // YAML reads an unquoted `audience: 7` as a number; the program reads it as text.
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
