//! Which settings there are, read from the JSON Schema of a `Config`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// One setting or group of settings.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) secret: bool,
    pub(crate) doc: String,
}

/// What a setting takes.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    /// A list; of texts when `of_texts`, which may then be written with commas.
    List {
        of_texts: bool,
    },
    Map,
    /// Anything JSON can say.
    Any,
    /// Settings below this one.
    Group(BTreeMap<String, Shape>),
}

impl Kind {
    /// The word `describe` uses, which is JSON Schema's.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List { .. } => "array",
            Self::Map | Self::Group(_) => "object",
            Self::Any => "any",
        }
    }
}

impl Shape {
    /// Calls `visit` with the dotted path of every setting that is no group, in order of name.
    pub(crate) fn each_leaf<'a>(&'a self, path: &str, visit: &mut dyn FnMut(String, &'a Shape)) {
        match &self.kind {
            Kind::Group(members) => {
                for (name, member) in members {
                    member.each_leaf(&join(path, name), visit);
                }
            }
            _ => visit(path.to_owned(), self),
        }
    }
}

/// The shape of a type that holds settings.
pub(crate) fn shape_of<T: JsonSchema>() -> Shape {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    read(&schema.to_value())
}

/// `a` and `b` as `a.b`.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn read(schema: &Value) -> Shape {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let inner = optional(schema).map(read);
    let kind = inner
        .as_ref()
        .map_or_else(|| kind(schema), |shape| shape.kind.clone());
    // A list or map that holds a secret somewhere is secret as a whole.
    let secret = !matches!(kind, Kind::Group(_)) && holds_secret(schema);
    let doc = match text("description") {
        "" => inner
            .as_ref()
            .map(|shape| shape.doc.clone())
            .unwrap_or_default(),
        doc => doc.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    Shape { kind, secret, doc }
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

fn kind(schema: &Value) -> Kind {
    match type_of(schema) {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("array") => {
            let items = schema.get("items").and_then(type_of);
            Kind::List {
                of_texts: items == Some("string"),
            }
        }
        Some("object") => group(schema).map_or(Kind::Map, Kind::Group),
        _ if is_words(schema) => Kind::Text,
        _ => Kind::Any,
    }
}

fn group(schema: &Value) -> Option<BTreeMap<String, Shape>> {
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
fn is_words(schema: &Value) -> bool {
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
    use crate::{Period, Secret};

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
        wait: Period,
    }

    #[test]
    fn finds_every_setting_with_its_kind() {
        let mut found = Vec::new();
        shape_of::<Sample>().each_leaf("", &mut |path, shape| {
            found.push(format!("{path} {}", shape.kind.word()));
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
    fn knows_secrets_and_docs_through_an_option() {
        let Kind::Group(members) = shape_of::<Sample>().kind else {
            panic!("no group")
        };
        assert!(members["key"].secret);
        assert!(members["tokens"].secret);
        assert!(!members["upstream"].secret);
        assert_eq!(members["listen"].doc, "Where it listens.");
    }
}
