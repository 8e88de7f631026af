//! Merges the values of all sources into the defaults and collects every problem.

use figment::{Figment, error::Kind as FigmentKind, providers::Serialized};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Problem, SettingKind, SettingSchema, Sources, schema_for,
    sources::{Layers, SettingValue},
};
use crate::{Common, Component, Settings, telemetry};

/// The settings of a component, complete and valid.
#[derive(Debug, Clone)]
pub struct LoadedSettings<C> {
    /// The settings every component has.
    pub common: Common,
    /// The settings of this component.
    pub config: C,
}

/// Loads the settings of a component.
///
/// # Errors
///
/// Returns every problem of the settings.
pub fn load<C: Component>(sources: &Sources) -> Result<LoadedSettings<C::Config>, Vec<Problem>> {
    load_with::<C>(sources, |_| Vec::new())
}

/// Loads the settings and runs [`Component::check`] on them; returns every problem of both.
pub(crate) fn load_checked<C: Component>(
    sources: &Sources,
) -> Result<LoadedSettings<C::Config>, Vec<Problem>> {
    load_with::<C>(sources, C::check)
}

fn load_with<C: Component>(
    sources: &Sources,
    check: impl FnOnce(&C::Config) -> Vec<Problem>,
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

    // Log directives have a syntax that the type `String` does not check.
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
        add_new(&mut problems, check(config));
    }

    match (common, config) {
        (Some(common), Some(config)) if problems.is_empty() => {
            Ok(LoadedSettings { common, config })
        }
        _ => Err(problems),
    }
}

/// Loads the common settings, even if others are invalid.
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

/// Adds the problems of settings that have none yet.
///
/// Where a value was rejected, the default was validated in its place, and its problems are not the user's.
fn add_new(problems: &mut Vec<Problem>, more: Vec<Problem>) {
    let reported: Vec<String> = problems
        .iter()
        .map(|problem| problem.setting.clone())
        .collect();
    let more = more.into_iter();
    problems.extend(more.filter(|problem| !reported.contains(&problem.setting)));
}

fn directives_problem(log: &str) -> Option<Problem> {
    let error = telemetry::directives_error(log)?;
    let hint = "write a level such as `debug`, or directives such as `info,hyper=debug`";
    Some(Problem::new("log", format!("is not valid: {error}"), hint))
}

/// Merges the values one by one: figment stops at the first error, and one must not hide the next.
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
                        .map(|error| problem_from(&setting.path, error, secret)),
                );
            }
        }
    }

    match figment.extract() {
        Ok(config) => Some(config),
        Err(error) => {
            // Only defaults and accepted values are left, so this is a bug of the component.
            problems.extend(
                error
                    .into_iter()
                    .map(|error| problem_from("defaults", error, true)),
            );
            None
        }
    }
}

fn problem_from(path: &str, error: figment::Error, secret: bool) -> Problem {
    let within = error.path.join(".");
    let setting = if within.starts_with(path) {
        within
    } else {
        path.to_owned()
    };

    // serde's error may quote the value, so a secret gets no details.
    let message = match error.kind {
        _ if secret => "is not valid".to_owned(),
        FigmentKind::Message(message) => format!("is not valid: {message}"),
        FigmentKind::InvalidType(found, expected) | FigmentKind::InvalidValue(found, expected) => {
            format!("is {found}, not {expected}")
        }
        FigmentKind::UnknownField(name, known) => {
            format!("has no field `{name}`; the fields are {}", known.join(", "))
        }
        FigmentKind::UnknownVariant(value, known) => {
            format!("cannot be `{value}`; use one of {}", known.join(", "))
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
