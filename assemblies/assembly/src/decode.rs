//! Validates a file against the JSON Schema of a type and decodes it.
//!
//! The schema is generated from the types, and is the one that is committed for editors, so an editor and the
//! assembler accept the same files. All errors are collected. Invalid fields are left out, so that the following
//! stages can report further findings.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use diagnostics::source::{Node, NodeValue, Source};
use diagnostics::{Finding, Location};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::schema::{kind, nullable, variants};
use crate::component::{ByteSize, byte_size};
use crate::rules;
use crate::text::suggest;

mod schema;

/// Returns the JSON Schema of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Returns the JSON Schema of a type from a cache: generating it for each of many files would be slow.
fn cached_schema_of<T: JsonSchema + 'static>() -> Arc<Value> {
    static CACHE: Mutex<BTreeMap<TypeId, Arc<Value>>> = Mutex::new(BTreeMap::new());
    // A panic of another thread cannot leave the map inconsistent: entries are only added, never changed.
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let schema = cache
        .entry(TypeId::of::<T>())
        .or_insert_with(|| Arc::new(schema_of::<T>()));
    schema.clone()
}

/// Decodes a file and returns the value, if there is one, and a finding for each field that does not match.
pub(crate) fn read<T: JsonSchema + DeserializeOwned + 'static>(
    source: &Source,
    node: &Node,
) -> (Option<T>, Vec<Finding>) {
    read_with(source, node, |_| {})
}

/// Decodes a file like [`read`], with empty text for the required fields of the file that are missing or invalid.
pub(crate) fn read_partial<T: JsonSchema + DeserializeOwned + 'static>(
    source: &Source,
    node: &Node,
) -> (Option<T>, Vec<Finding>) {
    let schema = cached_schema_of::<T>();
    let required = schema.get("required").and_then(Value::as_array);
    read_with(source, node, |value| {
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if let Value::Object(fields) = &mut *value {
                fields.entry(name).or_insert_with(|| Value::from(""));
            }
        }
    })
}

fn read_with<T: JsonSchema + DeserializeOwned + 'static>(
    source: &Source,
    node: &Node,
    complete: impl FnOnce(&mut Value),
) -> (Option<T>, Vec<Finding>) {
    let schema = cached_schema_of::<T>();
    let mut reader = Reader {
        source,
        root: &schema,
        findings: Vec::new(),
    };
    let Some(mut valid) = reader.value(node, &schema, "") else {
        return (None, reader.findings);
    };
    complete(&mut valid);

    match serde_json::from_value(valid) {
        Ok(value) => (Some(value), reader.findings),
        Err(error) => {
            // A missing field has its finding already; any other error must not be lost.
            if reader.findings.is_empty() {
                let location = Location::from_span(source, node.span);
                reader.findings.push(rules::m02_wrong_type::mismatch(
                    location,
                    &error.to_string(),
                ));
            }
            (None, reader.findings)
        }
    }
}

struct Reader<'a> {
    source: &'a Source,
    root: &'a Value,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, node: &Node, schema: &'a Value, path: &str) -> Option<Value> {
        let schema = self.resolve_ref(schema);
        // An optional or mixed field; one of its choices is used.
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            return self.optional(node, choices, path);
        }

        if let Some(variants) = variants(schema) {
            return self.choice(node, &variants, path);
        }
        match kind(schema) {
            // An optional field may be written without a value.
            Some(_) if nullable(schema) && node.value == NodeValue::Null => Some(Value::Null),
            Some("object") => self.map(node, schema, path),
            Some("array") => self.list(node, schema, path),
            Some("string") => self.text(node, schema, path),
            Some("boolean") => self.boolean(node, path),
            Some("integer") => self.integer(node, schema, path),
            Some("number") => self.number(node, schema, path),
            _ => Some(node.to_json()),
        }
    }

    fn resolve_ref(&self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        reference
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?))
            .unwrap_or(schema)
    }

    /// Validates against `anyOf`: `[record, null]` for an optional record, `[word, record]` for a word or a record.
    fn optional(&mut self, node: &Node, choices: &'a [Value], path: &str) -> Option<Value> {
        if node.value == NodeValue::Null {
            return Some(Value::Null);
        }
        let mut others = choices.iter().filter(|choice| kind(choice) != Some("null"));
        // A map is decoded as the record among the choices, everything else as the first choice.
        let first = others.next()?;
        let is_map = matches!(node.value, NodeValue::Map(_));
        let map = others.find(|choice| kind(self.resolve_ref(choice)) == Some("object"));
        self.value(node, map.filter(|_| is_map).unwrap_or(first), path)
    }

    fn choice(&mut self, node: &Node, variants: &[&str], path: &str) -> Option<Value> {
        match node.text() {
            Some(text) if variants.contains(&text) => Some(node.to_json()),
            Some(text) => {
                let hint = suggest(text, variants.iter().copied());
                self.add(rules::m02_wrong_type::unknown_choice(
                    self.location(node),
                    path,
                    text,
                    &hint,
                ));
                None
            }
            None => self.mismatch(node, path, "a word"),
        }
    }

    fn map(&mut self, node: &Node, schema: &'a Value, path: &str) -> Option<Value> {
        let NodeValue::Map(entries) = &node.value else {
            return self.mismatch(node, path, "a map");
        };
        let fields = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let mut valid = Map::new();

        for (key, value) in entries {
            let path = join(path, &key.name);
            if let Some(field) = fields.and_then(|fields| fields.get(&key.name)) {
                valid.extend(
                    self.value(value, field, &path)
                        .map(|value| (key.name.clone(), value)),
                );
            // `additionalProperties: false` comes from `deny_unknown_fields`.
            } else if others == Some(&Value::Bool(false)) {
                let known = fields.into_iter().flatten().map(|(name, _)| name.as_str());
                let location = Location::from_span(self.source, key.span);
                self.add(rules::m01_unknown_field::unknown_field(
                    location,
                    &path,
                    &suggest(&key.name, known),
                ));
            } else {
                let schema = others.unwrap_or(&Value::Bool(true));
                valid.extend(
                    self.value(value, schema, &path)
                        .map(|value| (key.name.clone(), value)),
                );
            }
        }

        for missing in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = missing.as_str().unwrap_or_default();
            // A field that is present but invalid has a finding already.
            if node.get(name).is_none() {
                self.add(rules::m03_missing_field::missing_field(
                    self.location(node),
                    &join(path, name),
                ));
            }
        }

        Some(Value::Object(valid))
    }

    fn list(&mut self, node: &Node, schema: &'a Value, path: &str) -> Option<Value> {
        let NodeValue::List(items) = &node.value else {
            return self.mismatch(node, path, "a list");
        };
        let item_schema = schema.get("items").unwrap_or(&Value::Bool(true));
        let valid = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.value(item, item_schema, &format!("{path}[{index}]")));
        Some(Value::Array(valid.collect()))
    }

    fn text(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        let format = schema.get("format").and_then(Value::as_str);
        if format == Some(byte_size::FORMAT) {
            let is_size = |text| ByteSize::parse(text).is_ok();
            if !node.text().is_some_and(is_size) {
                return self.mismatch(node, path, "a size such as `3.2 MB`");
            }
        }

        if node.text().is_none() {
            return self.mismatch(node, path, "text");
        }
        Some(node.to_json())
    }

    fn boolean(&mut self, node: &Node, path: &str) -> Option<Value> {
        match (&node.value, node.text()) {
            (NodeValue::Bool(_), _) => Some(node.to_json()),
            // An interpolated `${…}` is always text.
            (_, Some("true")) => Some(Value::Bool(true)),
            (_, Some("false")) => Some(Value::Bool(false)),
            _ => self.mismatch(node, path, "`true` or `false`"),
        }
    }

    fn integer(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        let number = match &node.value {
            NodeValue::Number(number) => number.as_i64(),
            // An interpolated `${…}` is always text.
            _ => node.text().and_then(|text| text.parse().ok()),
        };

        let Some(number) = number else {
            if let Some((text, amount)) = node
                .text()
                .and_then(|text| Some((text, parse_amount(text)?)))
            {
                self.add(rules::m02_wrong_type::has_unit(
                    self.location(node),
                    path,
                    text,
                    amount,
                ));
                return None;
            }
            return self.mismatch(node, path, "a whole number");
        };

        // schemars writes no bounds for the unsigned types; their format implies them.
        let bound = |name| schema.get(name).and_then(Value::as_i64);
        let low = bound("minimum").unwrap_or(0);
        let high = bound("maximum").unwrap_or(match schema.get("format").and_then(Value::as_str) {
            Some("uint16") => i64::from(u16::MAX),
            _ => i64::from(u32::MAX),
        });

        if number < low || number > high {
            self.add(rules::m02_wrong_type::out_of_range(
                self.location(node),
                path,
                number,
                low,
                high,
            ));
            return None;
        }

        Some(Value::from(number))
    }

    fn number(&mut self, node: &Node, schema: &Value, path: &str) -> Option<Value> {
        let number = match &node.value {
            NodeValue::Number(number) => number.as_f64(),
            // An interpolated `${…}` is always text.
            _ => node.text().and_then(|text| text.parse().ok()),
        };

        // YAML has `.inf` and `.nan`; JSON does not.
        let Some(number) = number.filter(|number| number.is_finite()) else {
            return self.mismatch(node, path, "a number");
        };
        let bound = |name| schema.get(name).and_then(Value::as_f64);
        let (low, high) = (bound("minimum"), bound("maximum"));
        let fits = low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high);

        if !fits {
            let location = self.location(node);
            self.add(rules::m02_wrong_type::float_out_of_range(
                location, path, number, low, high,
            ));
            return None;
        }

        Some(Value::from(number))
    }

    fn mismatch(&mut self, node: &Node, path: &str, expected: &str) -> Option<Value> {
        // A `${…}` that could not be interpolated has a finding already, except at the top level, where no other
        // finding says why there is no result.
        let is_unresolved = |text| crate::values::interpolate(text, |_| None).is_err();
        if path.is_empty() || !node.text().is_some_and(is_unresolved) {
            let (location, found) = (self.location(node), node.kind());
            self.add(if path.is_empty() {
                rules::m02_wrong_type::not_a_map(location, found)
            } else {
                rules::m02_wrong_type::wrong_type(location, path, expected, found)
            });
        }
        None
    }

    fn location(&self, node: &Node) -> Location {
        Location::from_span(self.source, node.span)
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// Parses an amount of memory or CPU with a unit into MiB or CPU units: `2GB`, `512 MiB`, `0.5 vCPU`.
fn parse_amount(text: &str) -> Option<u32> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    // Both results use a factor of 1024: 1 GiB is 1024 MiB, and 1 vCPU is 1024 CPU units.
    let factor = match text[unit..].to_ascii_lowercase().as_str() {
        "m" | "mb" | "mib" => 1.0,
        "g" | "gb" | "gib" | "vcpu" | "vcpus" => 1024.0,
        _ => return None,
    };

    let amount = text[..unit].trim().parse::<f64>().ok()? * factor;
    let fits = amount.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&amount);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and in range"
    )]
    fits.then_some(amount as u32)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
