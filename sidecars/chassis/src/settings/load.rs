//! Lays what is given over the defaults, and gathers everything that is wrong with it.

use figment::{Figment, error::Kind as FigmentKind, providers::Serialized};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Kind, Problem, Shape, Sources, shape_of,
    sources::{Given, Layers},
};
use crate::{Common, Component, Settings, telemetry};

/// The settings of a component, whole and without a known problem.
#[derive(Debug, Clone)]
pub struct Loaded<C> {
    /// The settings every component has.
    pub common: Common,
    /// The component's own.
    pub config: C,
}

/// Reads the settings of a component; on failure, everything that is wrong with them.
pub fn load<C: Component>(sources: &Sources) -> Result<Loaded<C::Config>, Vec<Problem>> {
    load_with::<C>(sources, |_| Vec::new())
}

/// Reads the settings and looks deeper, as far as what was read allows; on failure, all there is to say.
pub(crate) fn load_checked<C: Component>(
    sources: &Sources,
) -> Result<Loaded<C::Config>, Vec<Problem>> {
    load_with::<C>(sources, C::check)
}

fn load_with<C: Component>(
    sources: &Sources,
    deeper: impl FnOnce(&C::Config) -> Vec<Problem>,
) -> Result<Loaded<C::Config>, Vec<Problem>> {
    let (common_shape, own_shape) = (shape_of::<Common>(), shape_of::<C::Config>());
    let Layers {
        given,
        mut problems,
    } = sources.layers(C::NAME, &both(&common_shape, &own_shape));
    let (common_given, own_given): (Vec<_>, Vec<_>) = given
        .into_iter()
        .partition(|given| belongs(given, &common_shape));
    let common = Common::with_admin_port(C::ADMIN_PORT);
    let common = extract(&common, &common_shape, common_given, &mut problems);

    problems.extend(
        common
            .iter()
            .filter_map(|common| directives_problem(&common.log)),
    );

    let config = extract(&C::Config::default(), &own_shape, own_given, &mut problems);
    if let Some(config) = &config {
        add_new(&mut problems, config.problems());
        add_new(&mut problems, deeper(config));
    }

    match (common, config) {
        (Some(common), Some(config)) if problems.is_empty() => Ok(Loaded { common, config }),
        _ => Err(problems),
    }
}

/// Reads the settings every component has, whatever may be wrong with the others.
pub(crate) fn load_common<C: Component>(sources: &Sources) -> Result<Common, Vec<Problem>> {
    let (common_shape, own_shape) = (shape_of::<Common>(), shape_of::<C::Config>());
    let given = sources
        .layers(C::NAME, &both(&common_shape, &own_shape))
        .given
        .into_iter();
    let given = given
        .filter(|given| belongs(given, &common_shape))
        .collect();
    let mut problems = Vec::new();

    let common = Common::with_admin_port(C::ADMIN_PORT);
    let common = extract(&common, &common_shape, given, &mut problems);
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
    let fault = telemetry::fault_of_directives(log)?;
    let hint = "write a level such as `debug`, or directives such as `info,hyper=debug`";
    Some(Problem::new("log", format!("is not valid: {fault}"), hint))
}

/// Tries every value alone first, so that one fault does not hide the next.
fn extract<T: Serialize + DeserializeOwned>(
    defaults: &T,
    shape: &Shape,
    given: Vec<Given>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let mut figment = Figment::from(Serialized::defaults(defaults));
    for given in given {
        let value = Serialized::globals(nested(&given.path, given.value));
        let candidate = figment.clone().merge(value);
        match candidate.extract::<T>() {
            Ok(_) => figment = candidate,
            Err(error) => {
                let secret = is_secret(shape, &given.path);
                problems.extend(
                    error
                        .into_iter()
                        .map(|error| refused(&given.path, error, secret)),
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
                    .map(|error| refused("defaults", error, true)),
            );
            None
        }
    }
}

fn refused(path: &str, error: figment::Error, secret: bool) -> Problem {
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

fn is_secret(shape: &Shape, path: &str) -> bool {
    let mut secret = false;
    shape.each_leaf("", &mut |leaf, shape| {
        secret |= shape.secret && leaf == path;
    });
    secret
}

fn belongs(given: &Given, shape: &Shape) -> bool {
    let first = given.path.split('.').next().unwrap_or_default();
    matches!(&shape.kind, Kind::Group(members) if members.contains_key(first))
}

fn both(common: &Shape, own: &Shape) -> Shape {
    let mut all = own.clone();
    if let (Kind::Group(all), Kind::Group(common)) = (&mut all.kind, &common.kind) {
        all.extend(common.clone());
    }
    all
}

fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, name| {
        let mut outer = Map::new();
        outer.insert(name.to_owned(), value);
        Value::Object(outer)
    })
}
