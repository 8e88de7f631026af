//! Translates findings from the API's names to the names and pointers of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use diagnostics::{Edit, Finding, Fix};
use serde_json::Value;
use task_definition::{HasSchema, Schema, Service, TaskDefinition};

use super::names::cloudformation_name;

/// The field names of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Names of the API: `containerDefinitions`.
    Api,
    /// Names of CloudFormation: `ContainerDefinitions`.
    CloudFormation,
    /// Names of another format, from which the document is derived. A value without a pointer has that of the
    /// enclosing one.
    Derived,
}

/// Maps the pointers and names of the API to those of a file.
#[derive(Debug, Clone)]
pub(super) struct SourceMap {
    pub(super) naming: Naming,
    /// Pointers in the file, by pointer with the API's names.
    pub(super) pointers: BTreeMap<String, String>,
    /// Values that are not written at their pointer, so a fix cannot edit them.
    pub(super) not_editable: BTreeSet<String>,
}

impl SourceMap {
    /// Creates the map of a document with the API's names at a pointer of its file.
    pub(super) fn for_api(pointer: &str) -> Self {
        Self {
            naming: Naming::Api,
            pointers: [(String::new(), pointer.to_owned())].into(),
            not_editable: BTreeSet::new(),
        }
    }

    /// Translates a finding to the names of the file.
    pub(super) fn translate(&self, mut finding: Finding) -> Finding {
        finding.fix = finding.fix.and_then(|fix| self.fix(fix));
        finding.pointer = finding.pointer.map(|pointer| self.pointer(&pointer));
        if self.naming == Naming::CloudFormation {
            // C06 quotes field names only, so every quoted word may be translated.
            let about_fields = finding.rule == "C06";
            finding.message = translate_fields(&finding.message, about_fields);
            finding.hint = translate_fields(&finding.hint, about_fields);
        }
        finding
    }

    /// Returns the pointer in the file, also for a value that is missing.
    pub(super) fn pointer(&self, api: &str) -> String {
        // The nearest enclosing value with a known pointer; the steps below it are translated.
        let mut enclosing = api;
        loop {
            if let Some(known) = self.pointers.get(enclosing) {
                return known.clone() + &self.steps(enclosing, &api[enclosing.len()..]);
            }
            match enclosing.rfind('/') {
                Some(end) => enclosing = &enclosing[..end],
                None => return self.steps("", api),
            }
        }
    }

    /// Translates the steps below a value.
    fn steps(&self, enclosing: &str, below: &str) -> String {
        match self.naming {
            Naming::Api => return below.to_owned(),
            Naming::Derived => return String::new(),
            Naming::CloudFormation => {}
        }

        let is_name = |step: &&str| !step.is_empty() && step.parse::<usize>().is_err();
        let mut parent = enclosing.rsplit('/').find(is_name).unwrap_or_default();
        let mut path = String::new();
        for step in below.split('/').skip(1) {
            path.push('/');
            if is_name(&step) && !MAPS.contains(&parent) {
                path.push_str(&cloudformation_name(parent, step));
                parent = step;
            } else {
                path.push_str(step);
            }
        }

        path
    }

    fn fix(&self, fix: Fix) -> Option<Fix> {
        let edits = fix.edits.into_iter().map(|edit| match edit {
            Edit::Set(pointer, value) => {
                let target = self.editable_pointer(&pointer)?;
                Some(Edit::Set(target, self.value(&pointer, value)))
            }
            Edit::Remove(pointer) => self.editable_pointer(&pointer).map(Edit::Remove),
        });

        // A fix is applied completely or not at all.
        let edits = edits.collect::<Option<Vec<_>>>()?;
        let title = match self.naming {
            Naming::Api | Naming::Derived => fix.title,
            Naming::CloudFormation => translate_fields(&fix.title, false),
        };

        Some(Fix { title, edits })
    }

    fn editable_pointer(&self, pointer: &str) -> Option<String> {
        let is_derived = self.not_editable.iter().any(|derived| {
            let below = pointer.strip_prefix(derived.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });

        if is_derived {
            return None;
        }

        // `apply_fixes` unwraps responses of ECS itself and expects pointers of the definition.
        let is_response = self
            .pointers
            .get("")
            .is_some_and(|at| at == "/taskDefinition");
        let pointer = if is_response {
            pointer.to_owned()
        } else {
            self.pointer(pointer)
        };

        Some(pointer)
    }

    fn value(&self, pointer: &str, value: Value) -> Value {
        let is_name = |step: &&str| step.parse::<usize>().is_err();
        let field = pointer.rsplit('/').find(is_name).unwrap_or_default();
        match self.naming {
            Naming::Api | Naming::Derived => value,
            Naming::CloudFormation => capitalize(field, value),
        }
    }
}

fn capitalize(field: &str, value: Value) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| capitalize(field, item))
            .collect(),
        Value::Object(entries) if !MAPS.contains(&field) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let value = capitalize(&key, value);
                (cloudformation_name(field, &key), value)
            });
            Value::Object(entries.collect())
        }
        other => other,
    }
}

/// Fields with keys that the user chooses.
const MAPS: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];

/// Translates the field names that a sentence quotes. A single lower-case word may be the name of a container
/// and is kept, unless the sentence is about a field.
fn translate_fields(text: &str, about_fields: bool) -> String {
    let mut translated = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '`']) {
        let quote = &rest[start..=start];
        let after = &rest[start + 1..];
        let Some(end) = after.find(quote) else { break };
        let (word, tail) = (&after[..end], &after[end + 1..]);
        // `portMappings` is a field; `app` may be a container, and `memory` either.
        let is_compound = word.chars().any(char::is_uppercase);
        let is_key = quote == "\"" && tail.starts_with(':');
        let is_field = fields().contains(word) && (is_compound || is_key || about_fields);

        translated.push_str(&rest[..=start]);
        if is_field {
            translated.push_str(&cloudformation_name("", word));
        } else {
            translated.push_str(word);
        }

        translated.push_str(quote);
        rest = tail;
    }

    translated.push_str(rest);
    translated
}

/// Returns every field name of task definitions and services.
fn fields() -> &'static BTreeSet<&'static str> {
    static FIELDS: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let mut all = BTreeSet::new();
        collect(TaskDefinition::SCHEMA, &mut all);
        collect(Service::SCHEMA, &mut all);
        all
    })
}

fn collect(schema: Schema, all: &mut BTreeSet<&'static str>) {
    match schema {
        Schema::List(inner) => collect(*inner, all),
        Schema::Record(members) => {
            for member in members {
                all.insert(member.name);
                collect(member.schema, all);
            }
        }
        _ => {}
    }
}
