//! From the API's words to the user's: pointers, and the names of fields in messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use crate::finding::{Edit, Finding, Fix};
use crate::record::{Shape, Shaped};
use crate::service::Service;
use crate::task::TaskDefinition;

use super::names::cloudformation;

/// Which names a document has for fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Those of the API.
    Api,
    /// Those of CloudFormation.
    CloudFormation,
}

/// How a document's values are called in its file.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub(super) language: Language,
    /// From pointers in the API's words to pointers in the file.
    pub(super) pointers: BTreeMap<String, String>,
    /// Values that are not written where they stand, so that they cannot be mended there.
    pub(super) elsewhere: BTreeSet<String>,
}

impl Words {
    /// A document in the API's words that stands at a pointer of its file.
    pub(super) fn at(pointer: &str) -> Self {
        Self {
            language: Language::Api,
            pointers: [(String::new(), pointer.to_owned())].into(),
            elsewhere: BTreeSet::new(),
        }
    }

    /// The same finding in the user's words.
    pub(super) fn said(&self, mut finding: Finding) -> Finding {
        finding.fix = finding.fix.and_then(|fix| self.fix(fix));
        finding.pointer = finding.pointer.map(|pointer| self.pointer(&pointer));
        if self.language == Language::CloudFormation {
            let plain = finding.rule == "C06";
            finding.message = in_cloudformation(&finding.message, plain);
            finding.hint = in_cloudformation(&finding.hint, plain);
        }
        finding
    }

    /// The pointer in the file; of what is not there, where it would be.
    pub(super) fn pointer(&self, api: &str) -> String {
        let mut around = api;
        loop {
            if let Some(known) = self.pointers.get(around) {
                return known.clone() + &self.steps(around, &api[around.len()..]);
            }
            match around.rfind('/') {
                Some(end) => around = &around[..end],
                None => return self.steps("", api),
            }
        }
    }

    /// Steps below a value in the user's words.
    fn steps(&self, around: &str, below: &str) -> String {
        if self.language == Language::Api {
            return below.to_owned();
        }

        let is_name = |step: &&str| !step.is_empty() && step.parse::<usize>().is_err();
        let mut parent = around.rsplit('/').find(is_name).unwrap_or_default();
        let mut path = String::new();
        for step in below.split('/').skip(1) {
            path.push('/');
            if is_name(&step) && !MAPS.contains(&parent) {
                path.push_str(&cloudformation(parent, step));
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
                let at = self.written_at(&pointer)?;
                Some(Edit::Set(at, self.value(&pointer, value)))
            }
            Edit::Remove(pointer) => self.written_at(&pointer).map(Edit::Remove),
        });

        let edits = edits.collect::<Option<Vec<_>>>()?;
        let title = match self.language {
            Language::Api => fix.title,
            Language::CloudFormation => in_cloudformation(&fix.title, false),
        };

        Some(Fix { title, edits })
    }

    fn written_at(&self, pointer: &str) -> Option<String> {
        let is_elsewhere = self.elsewhere.iter().any(|one| {
            let below = pointer.strip_prefix(one.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });

        if is_elsewhere {
            return None;
        }

        // `mend` knows answers of ECS, and takes the pointers of the definition in them.
        let is_answer = self
            .pointers
            .get("")
            .is_some_and(|at| at == "/taskDefinition");
        let pointer = if is_answer {
            pointer.to_owned()
        } else {
            self.pointer(pointer)
        };

        Some(pointer)
    }

    fn value(&self, pointer: &str, value: Value) -> Value {
        let is_name = |step: &&str| step.parse::<usize>().is_err();
        let field = pointer.rsplit('/').find(is_name).unwrap_or_default();
        match self.language {
            Language::Api => value,
            Language::CloudFormation => capitalised(field, value),
        }
    }
}

fn capitalised(field: &str, value: Value) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|one| capitalised(field, one))
            .collect(),
        Value::Object(entries) if !MAPS.contains(&field) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let value = capitalised(&key, value);
                (cloudformation(field, &key), value)
            });
            Value::Object(entries.collect())
        }
        other => other,
    }
}

/// Fields whose keys are the user's own.
const MAPS: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];

/// A sentence with CloudFormation's names for the fields it quotes. Words that could as well be a
/// container's name are left alone unless the sentence is about a field.
fn in_cloudformation(text: &str, about_fields: bool) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '`']) {
        let quote = &rest[start..=start];
        let after = &rest[start + 1..];
        let Some(end) = after.find(quote) else { break };
        let (word, tail) = (&after[..end], &after[end + 1..]);
        let is_compound = word.chars().any(char::is_uppercase);
        let is_key = quote == "\"" && tail.starts_with(':');
        let is_field = fields().contains(word) && (is_compound || is_key || about_fields);

        said.push_str(&rest[..=start]);
        if is_field {
            said.push_str(&cloudformation("", word));
        } else {
            said.push_str(word);
        }

        said.push_str(quote);
        rest = tail;
    }

    said.push_str(rest);
    said
}

/// Every field of the API that CloudFormation has as well.
fn fields() -> &'static BTreeSet<&'static str> {
    static FIELDS: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let mut all = BTreeSet::new();
        collect(TaskDefinition::SHAPE, &mut all);
        collect(Service::SHAPE, &mut all);
        all
    })
}

fn collect(shape: Shape, all: &mut BTreeSet<&'static str>) {
    match shape {
        Shape::List(inner) => collect(*inner, all),
        Shape::Record(members) => {
            for member in members {
                all.insert(member.name);
                collect(member.shape, all);
            }
        }
        _ => {}
    }
}
