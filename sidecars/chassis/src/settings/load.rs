//! Lays what is given over the defaults, and gathers everything that is wrong with it.

use figment::{Figment, error::Kind as FigmentKind, providers::Serialized};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Problem, SettingKind, SettingSchema, Sources, schema_for,
    sources::{Layers, SettingValue},
};
use crate::{Common, Component, Settings, telemetry};

/// The settings of a component, whole and without a known problem.
#[derive(Debug, Clone)]
pub struct LoadedSettings<C> {
    /// The settings every component has.
    pub common: Common,
    /// The component's own.
    pub config: C,
}

/// Reads the settings of a component; on failure, everything that is wrong with them.
pub fn load<C: Component>(sources: &Sources) -> Result<LoadedSettings<C::Config>, Vec<Problem>> {
    load_with::<C>(sources, |_| Vec::new())
}

/// Reads the settings and looks deeper, as far as what was read allows; on failure, all there is to say.
pub(crate) fn load_checked<C: Component>(
    sources: &Sources,
) -> Result<LoadedSettings<C::Config>, Vec<Problem>> {
    load_with::<C>(sources, C::check)
}

fn load_with<C: Component>(
    sources: &Sources,
    deeper: impl FnOnce(&C::Config) -> Vec<Problem>,
) -> Result<LoadedSettings<C::Config>, Vec<Problem>> {
    let (common_schema, own_schema) = (schema_for::<Common>(), schema_for::<C::Config>());
    let Layers {
        values,
        mut problems,
    } = sources.layers(C::NAME, &merge(&common_schema, &own_schema));
    let (common_values, own_values): (Vec<_>, Vec<_>) = values
        .into_iter()
        .partition(|setting| belongs_to(setting, &common_schema));
    let common = Common::with_admin_port(C::ADMIN_PORT);
    let common = extract(&common, &common_schema, common_values, &mut problems);

    problems.extend(
        common
            .iter()
            .filter_map(|common| directives_problem(&common.log)),
    );

    let config = extract(
        &C::Config::default(),
        &own_schema,
        own_values,
        &mut problems,
    );
    if let Some(config) = &config {
        add_new(&mut problems, config.problems());
        add_new(&mut problems, deeper(config));
    }

    match (common, config) {
        (Some(common), Some(config)) if problems.is_empty() => {
            Ok(LoadedSettings { common, config })
        }
        _ => Err(problems),
    }
}

/// Reads the settings every component has, even when other settings are invalid.
pub(crate) fn load_common<C: Component>(sources: &Sources) -> Result<Common, Vec<Problem>> {
    let (common_schema, own_schema) = (schema_for::<Common>(), schema_for::<C::Config>());
    let values = sources
        .layers(C::NAME, &merge(&common_schema, &own_schema))
        .values
        .into_iter()
        .filter(|setting| belongs_to(setting, &common_schema))
        .collect();

    let mut problems = Vec::new();
    let defaults = Common::with_admin_port(C::ADMIN_PORT);
    let common = extract(&defaults, &common_schema, values, &mut problems);
    common.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Takes on the problems of settings that nothing was said of yet: where a value is refused, the default
/// stands in, and what is wrong with that is nobody's fault.
fn add_new(problems: &mut Vec<Problem>, more: Vec<Problem>) {
    let reported: Vec<String> = problems
        .iter()
        .map(|problem| problem.setting.clone())
        .collect();
    let more = more.into_iter();
    problems.extend(more.filter(|problem| !reported.contains(&problem.setting)));
}

fn directives_problem(log: &str) -> Option<Problem> {
    let fault = telemetry::directives_error(log)?;
    let hint = "write a level such as `debug`, or directives such as `info,hyper=debug`";
    Some(Problem::new("log", format!("is not valid: {fault}"), hint))
}

/// Tries every value alone first, so that one fault does not hide the next.
fn extract<T: Serialize + DeserializeOwned>(
    defaults: &T,
    schema: &SettingSchema,
    values: Vec<SettingValue>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let mut figment = Figment::from(Serialized::defaults(defaults));
    for setting in values {
        let value = Serialized::globals(nest(&setting.path, setting.value));
        let candidate = figment.clone().merge(value);
        match candidate.extract::<T>() {
            Ok(_) => figment = candidate,
            Err(error) => {
                let secret = is_secret(schema, &setting.path);
                problems.extend(
                    error
                        .into_iter()
                        .map(|error| rejection_problem(&setting.path, error, secret)),
                );
            }
        }
    }

    match figment.extract() {
        Ok(config) => Some(config),
        Err(error) => {
            // Only the defaults are left, so this is a fault of the component itself.
            problems.extend(
                error
                    .into_iter()
                    .map(|error| rejection_problem("defaults", error, true)),
            );
            None
        }
    }
}

fn rejection_problem(path: &str, error: figment::Error, secret: bool) -> Problem {
    let within = error.path.join(".");
    let setting = if within.starts_with(path) {
        within
    } else {
        path.to_owned()
    };

    let message = match error.kind {
        _ if secret => "is not valid".to_owned(),
        FigmentKind::Message(message) => format!("is not valid: {message}"),
        FigmentKind::InvalidType(found, wanted) | FigmentKind::InvalidValue(found, wanted) => {
            format!("is {found}, not {wanted}")
        }
        FigmentKind::UnknownField(name, known) => {
            format!("has no part `{name}`; it has {}", known.join(", "))
        }
        FigmentKind::UnknownVariant(word, known) => {
            format!("cannot be `{word}`; it is one of {}", known.join(", "))
        }
        FigmentKind::MissingField(name) => format!("lacks `{name}`"),
        kind => format!("is not valid: {kind}"),
    };

    Problem::new(setting, message, "")
}

fn is_secret(schema: &SettingSchema, path: &str) -> bool {
    let mut secret = false;
    schema.each_leaf("", &mut |leaf, schema| {
        secret |= schema.secret && leaf == path;
    });
    secret
}

fn belongs_to(setting: &SettingValue, schema: &SettingSchema) -> bool {
    let first = setting.path.split('.').next().unwrap_or_default();
    matches!(&schema.kind, SettingKind::Group(members) if members.contains_key(first))
}

fn merge(common: &SettingSchema, own: &SettingSchema) -> SettingSchema {
    let mut all = own.clone();
    if let (SettingKind::Group(all), SettingKind::Group(common)) = (&mut all.kind, &common.kind) {
        all.extend(common.clone());
    }
    all
}

fn nest(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, name| {
        let mut outer = Map::new();
        outer.insert(name.to_owned(), value);
        Value::Object(outer)
    })
}
