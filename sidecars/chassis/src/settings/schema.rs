//! The settings of a component, derived from the JSON Schema of its `Config`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// A setting or group of settings.
#[derive(Debug, Clone)]
pub(crate) struct SettingSchema {
    pub(crate) kind: SettingKind,
    pub(crate) secret: bool,
    pub(crate) doc: String,
    pub(crate) constraints: Constraints,
}

/// Constraints on the value of a setting, or on the items of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Constraints {
    /// The accepted values of an enum.
    pub(crate) choices: Vec<String>,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
    /// `uri` from JSON Schema, or our `duration`.
    pub(crate) format: Option<String>,
    /// The type of a list's items.
    pub(crate) items: Option<&'static str>,
}

/// The type of a setting.
#[derive(Debug, Clone)]
pub(crate) enum SettingKind {
    String,
    Integer,
    Number,
    Boolean,
    /// A list; with `of_strings` it may also be written with commas.
    List {
        of_strings: bool,
    },
    Map,
    /// Any JSON value.
    Any,
    /// Nested settings.
    Group(BTreeMap<String, SettingSchema>),
}

impl SettingKind {
    /// Returns the type as JSON Schema and `describe` name it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List { .. } => "array",
            Self::Map | Self::Group(_) => "object",
            Self::Any => "any",
        }
    }
}

impl SettingSchema {
    /// Calls `visit` with the dotted path of every setting that is not a group, sorted by name.
    pub(crate) fn each_leaf<'a>(
        &'a self,
        path: &str,
        visit: &mut dyn FnMut(String, &'a SettingSchema),
    ) {
        match &self.kind {
            SettingKind::Group(members) => {
                for (name, member) in members {
                    member.each_leaf(&join(path, name), visit);
                }
            }
            _ => visit(path.to_owned(), self),
        }
    }
}

/// Derives the schema of a type that holds settings.
pub(crate) fn schema_for<T: JsonSchema>() -> SettingSchema {
    // Inlined, so that the code below never has to resolve a `$ref`.
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    read(&schema.to_value())
}

/// Joins two names of a dotted path.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn read(schema: &Value) -> SettingSchema {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let inner = optional(schema).map(read);
    let kind = inner
        .as_ref()
        .map_or_else(|| kind_of(schema), |setting| setting.kind.clone());

    // A list or map that contains a secret is secret as a whole.
    let secret = !matches!(kind, SettingKind::Group(_)) && holds_secret(schema);
    // The documentation of the field wins over that of its type; line breaks of the source are not kept.
    let doc = match text("description") {
        "" => inner
            .as_ref()
            .map(|setting| setting.doc.clone())
            .unwrap_or_default(),
        doc => doc.split_whitespace().collect::<Vec<_>>().join(" "),
    };

    let constraints = inner.map_or_else(|| constraints(schema, &kind), |inner| inner.constraints);
    SettingSchema {
        kind,
        secret,
        doc,
        constraints,
    }
}

fn constraints(schema: &Value, kind: &SettingKind) -> Constraints {
    let format = schema.get("format").and_then(Value::as_str);
    // schemars gives numbers a width as format (`uint32`); for a setting only the bounds matter.
    let format = format.filter(|_| matches!(kind, SettingKind::String));
    let items = schema
        .get("items")
        .filter(|_| matches!(kind, SettingKind::List { .. }));
    let bound = |name| schema.get(name).filter(|bound| bound.is_number()).cloned();

    Constraints {
        choices: enum_values(items.unwrap_or(schema)),
        min: bound("minimum"),
        max: bound("maximum"),
        format: format.map(str::to_owned),
        items: items.map(|items| kind_of(items).as_str()),
    }
}

/// Returns the values of an enum: schemars writes a list, or a branch per documented variant.
fn enum_values(schema: &Value) -> Vec<String> {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };

    if let Some(list) = schema.get("enum") {
        return texts(list);
    }

    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"));
    let branches = branches.and_then(Value::as_array).into_iter().flatten();
    let mut all = Vec::new();

    for branch in branches.filter(|branch| type_of(branch) != Some("null")) {
        match (
            branch.get("const").and_then(Value::as_str),
            branch.get("enum"),
        ) {
            (Some(word), _) => all.push(word.to_owned()),
            (None, Some(list)) => all.extend(texts(list)),
            // A branch without fixed values accepts any text.
            (None, None) => return Vec::new(),
        }
    }

    all
}

fn holds_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("writeOnly") == Some(&Value::Bool(true))
                || members.values().any(holds_secret)
        }
        Value::Array(items) => items.iter().any(holds_secret),
        _ => false,
    }
}

/// Returns the only non-null branch of an `anyOf`, which is the type inside an `Option`.
fn optional(schema: &Value) -> Option<&Value> {
    let branches = schema.get("anyOf")?.as_array()?;
    let mut some = branches
        .iter()
        .filter(|branch| type_of(branch) != Some("null"));
    let only = some.next()?;
    some.next().is_none().then_some(only)
}

fn kind_of(schema: &Value) -> SettingKind {
    match type_of(schema) {
        Some("string") => SettingKind::String,
        Some("integer") => SettingKind::Integer,
        Some("number") => SettingKind::Number,
        Some("boolean") => SettingKind::Boolean,
        Some("array") => {
            let items = schema.get("items").and_then(type_of);
            SettingKind::List {
                of_strings: items == Some("string"),
            }
        }
        Some("object") => group(schema).map_or(SettingKind::Map, SettingKind::Group),
        // schemars writes an enum with documented variants as `oneOf`, without a type.
        _ if is_enum(schema) => SettingKind::String,
        _ => SettingKind::Any,
    }
}

fn group(schema: &Value) -> Option<BTreeMap<String, SettingSchema>> {
    let properties = schema.get("properties")?.as_object()?;
    Some(
        properties
            .iter()
            .map(|(name, schema)| (name.clone(), read(schema)))
            .collect(),
    )
}

/// Returns the type a schema names; `null` only if it is the only one.
fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(word) => Some(word),
        Value::Array(words) => {
            let mut words = words.iter().filter_map(Value::as_str);
            words
                .clone()
                .find(|word| *word != "null")
                .or_else(|| words.next())
        }
        _ => None,
    }
}

/// Returns whether a schema is an enum with documented variants.
fn is_enum(schema: &Value) -> bool {
    let choice = schema
        .get("oneOf")
        .or_else(|| schema.get("anyOf"))
        .and_then(Value::as_array);
    choice.is_some_and(|branches| {
        branches.iter().all(|branch| {
            matches!(type_of(branch), Some("string" | "null"))
                || branch.get("const").is_some_and(Value::is_string)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{HumanDuration, Secret};

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Sample {
        /// Address to
        /// listen on.
        listen: SocketAddr,
        key: Option<Secret>,
        upstream: Option<String>,
        tags: Vec<String>,
        count: Option<u32>,
        share: f64,
        on: bool,
        level: Level,
        inner: Inner,
        maybe_inner: Option<Inner>,
        routes: BTreeMap<String, String>,
        rules: Vec<Inner>,
        tokens: Vec<Secret>,
    }

    /// A level.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    enum Level {
        /// Low.
        Low,
        /// High.
        High,
    }

    /// A nested group.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Inner {
        wait: HumanDuration,
    }

    #[test]
    fn finds_every_setting_with_its_type() {
        let mut found = Vec::new();
        schema_for::<Sample>().each_leaf("", &mut |path, setting| {
            found.push(format!("{path} {}", setting.kind.as_str()));
        });

        let expected = [
            "count integer",
            "inner.wait string",
            "key string",
            "level string",
            "listen string",
            "maybe_inner.wait string",
            "on boolean",
            "routes object",
            "rules array",
            "share number",
            "tags array",
            "tokens array",
            "upstream string",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn reads_the_constraints_of_a_setting() {
        let SettingKind::Group(members) = schema_for::<Sample>().kind else {
            panic!("not a group")
        };
        assert_eq!(members["level"].constraints.choices, ["Low", "High"]);
        assert_eq!(members["tags"].constraints.items, Some("string"));
        assert_eq!(members["count"].constraints.min, Some(Value::from(0)));
        assert_eq!(members["count"].constraints.format, None);
        assert_eq!(members["upstream"].constraints, Constraints::default());
        let SettingKind::Group(inner) = &members["inner"].kind else {
            panic!("not a group")
        };
        assert_eq!(
            inner["wait"].constraints.format.as_deref(),
            Some("duration")
        );
    }

    #[test]
    fn reads_secrets_and_docs_through_an_option() {
        let SettingKind::Group(members) = schema_for::<Sample>().kind else {
            panic!("not a group")
        };
        assert!(members["key"].secret);
        assert!(members["tokens"].secret);
        assert!(!members["upstream"].secret);
        assert_eq!(members["listen"].doc, "Address to listen on.");
    }
}
