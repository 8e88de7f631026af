//! Which settings there are, read from the JSON Schema of a `Config`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// One setting or group of settings.
#[derive(Debug, Clone)]
pub(crate) struct SettingSchema {
    pub(crate) kind: SettingKind,
    pub(crate) secret: bool,
    pub(crate) doc: String,
    pub(crate) constraints: Constraints,
}

/// What of its kind a setting takes; of a list, what its items may be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Constraints {
    /// The words, where it is one of some.
    pub(crate) choices: Vec<String>,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
    /// JSON Schema's word, or one of ours: `uri`, `duration`.
    pub(crate) format: Option<String>,
    /// The kind of a list's items.
    pub(crate) items: Option<&'static str>,
}

/// What a setting takes.
#[derive(Debug, Clone)]
pub(crate) enum SettingKind {
    String,
    Integer,
    Number,
    Boolean,
    /// A list; of texts when `of_strings`, which may then be written with commas.
    List {
        of_strings: bool,
    },
    Map,
    /// Anything JSON can say.
    Any,
    /// Settings below this one.
    Group(BTreeMap<String, SettingSchema>),
}

impl SettingKind {
    /// The word `describe` uses, which is JSON Schema's.
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
    /// Calls `visit` with the dotted path of every setting that is no group, in order of name.
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

/// The setting of a type that holds settings.
pub(crate) fn schema_for<T: JsonSchema>() -> SettingSchema {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    read(&schema.to_value())
}

/// Joins `a` and `b` as `a.b`.
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

    // A list or map that holds a secret somewhere is secret as a whole.
    let secret = !matches!(kind, SettingKind::Group(_)) && holds_secret(schema);
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
    // Of the widths of numbers (`uint32`) only the bounds matter to who writes a setting.
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

/// The words of an enum: a list, or a branch for each that has a doc.
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
            // Any text is taken beside the words.
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

/// The only branch of an `anyOf` that is not null: what an `Option` holds.
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

/// The type a schema names, null aside.
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

/// Whether a schema is a choice of words: an enum whose variants are documented.
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
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Sample {
        /// Where it
        /// listens.
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
    #[expect(dead_code, reason = "only the schema is looked at")]
    enum Level {
        /// Low.
        Low,
        /// High.
        High,
    }

    /// What is inside.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Inner {
        wait: HumanDuration,
    }

    #[test]
    fn finds_every_setting_with_its_kind() {
        let mut found = Vec::new();
        schema_for::<Sample>().each_leaf("", &mut |path, setting| {
            found.push(format!("{path} {}", setting.kind.as_str()));
        });

        let wanted = [
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
        assert_eq!(found, wanted);
    }

    #[test]
    fn knows_what_of_its_kind_a_setting_takes() {
        let SettingKind::Group(members) = schema_for::<Sample>().kind else {
            panic!("no group")
        };
        assert_eq!(members["level"].constraints.choices, ["Low", "High"]);
        assert_eq!(members["tags"].constraints.items, Some("string"));
        assert_eq!(members["count"].constraints.min, Some(Value::from(0)));
        assert_eq!(members["count"].constraints.format, None);
        assert_eq!(members["upstream"].constraints, Constraints::default());
        let SettingKind::Group(inner) = &members["inner"].kind else {
            panic!("no group")
        };
        assert_eq!(
            inner["wait"].constraints.format.as_deref(),
            Some("duration")
        );
    }

    #[test]
    fn knows_secrets_and_docs_through_an_option() {
        let SettingKind::Group(members) = schema_for::<Sample>().kind else {
            panic!("no group")
        };
        assert!(members["key"].secret);
        assert!(members["tokens"].secret);
        assert!(!members["upstream"].secret);
        assert_eq!(members["listen"].doc, "Where it listens.");
    }
}
