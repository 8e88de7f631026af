//! Checks documents and keeps only findings that do not depend on an unknown value.

use std::collections::BTreeSet;

use diagnostics::Finding;
use diagnostics::source::Source;
use serde::Deserialize as _;
use serde_json::Value;
use task_definition::{LocatedDefinition, RunTask, Service, TaskDefinition};

use crate::images::ImageFacts;
use crate::launch::{LaunchContext, Request};
use crate::rules::{check_launch_selected, check_selected};

use super::candidates::{Literals, candidates, format_as_sub};
use super::convert::UnknownValue;
use super::document::{Document, DocumentKind, ParsedInput};
use super::read::read_input;

/// Checks every document of a text, in any input format.
pub fn check_input(source: &Source) -> Vec<Finding> {
    check_input_with(&read_input(source), &[], &ImageFacts::default())
}

/// Checks several texts. Services of one may use task definitions of another.
pub fn check_inputs(sources: &[Source]) -> Vec<Finding> {
    let images = ImageFacts::default();
    let inputs: Vec<ParsedInput> = sources.iter().map(read_input).collect();
    let documents = inputs.iter().flat_map(ParsedInput::documents);
    // Only the default assignment of other files is used, to bound the number of combinations.
    let documents: Vec<Document> = documents.cloned().collect();
    inputs
        .iter()
        .flat_map(|input| check_input_with(input, &documents, &images))
        .collect()
}

/// Checks the documents of a text, which may use documents of other texts, with the caller's facts about images.
pub fn check_input_with(
    input: &ParsedInput,
    others: &[Document],
    images: &ImageFacts,
) -> Vec<Finding> {
    let mut found = input.findings.clone();
    let mut checked = BTreeSet::new();
    for documents in &input.variants {
        for document in documents {
            let definition = find_definition(document, documents.iter().chain(others));
            // Most documents are equal under most assignments.
            if !checked.insert((document.identity(), definition.map(Document::identity))) {
                continue;
            }

            for finding in check_document(document, definition, images) {
                if !found.contains(&finding) {
                    found.push(finding);
                }
            }
        }
    }

    found.sort_by_key(|finding| finding.location.sort_key());
    found
}

/// Returns the task definition that a service or RunTask request uses.
fn find_definition<'d>(
    document: &Document,
    mut others: impl Iterator<Item = &'d Document>,
) -> Option<&'d Document> {
    let name = document.task_definition.as_ref()?;
    others.find(|other| {
        matches!(other.kind, DocumentKind::Definition(_)) && other.names.contains(name)
    })
}

fn check_document(
    document: &Document,
    definition: Option<&Document>,
    images: &ImageFacts,
) -> Vec<Finding> {
    let found = match &document.kind {
        DocumentKind::Definition(located) => check_definition(document, located, images),
        DocumentKind::Launch(..) => check_request(document, definition, images),
    };
    found
        .into_iter()
        .map(|finding| document.source_map.translate(finding))
        .collect()
}

fn check_definition(
    document: &Document,
    located: &LocatedDefinition,
    images: &ImageFacts,
) -> Vec<Finding> {
    // The locations stay those of the text, while the values vary.
    let mut trial = located.clone();
    certain_findings(&[Part::new(document)], |values, is_selected| {
        trial.definition = TaskDefinition::deserialize(values[0]).ok()?;
        Some(check_selected(&trial, images, is_selected))
    })
}

fn check_request(
    document: &Document,
    definition: Option<&Document>,
    images: &ImageFacts,
) -> Vec<Finding> {
    let DocumentKind::Launch(request, locations) = &document.kind else {
        return Vec::new();
    };
    let parts = std::iter::once(document).chain(definition).map(Part::new);

    certain_findings(&parts.collect::<Vec<_>>(), |values, is_selected| {
        let request = with_values(request, values[0])?;
        let definition = match values.get(1) {
            Some(value) => Some(TaskDefinition::deserialize(*value).ok()?),
            None => None,
        };

        let context = LaunchContext {
            request: &request,
            definition: definition.as_ref(),
        };
        Some(check_launch_selected(
            &context,
            locations,
            images,
            is_selected,
        ))
    })
}

/// Returns the same kind of request with other values.
pub(super) fn with_values(request: &Request, value: &Value) -> Option<Request> {
    Some(match request {
        Request::Service(_) => Request::Service(Box::new(Service::deserialize(value).ok()?)),
        Request::RunTask(_) => Request::RunTask(Box::new(RunTask::deserialize(value).ok()?)),
    })
}

/// A document that takes part in a check, and its unknown values.
struct Part<'d> {
    json: &'d Value,
    unknowns: &'d [UnknownValue],
}

impl<'d> Part<'d> {
    fn new(document: &'d Document) -> Self {
        Self {
            json: &document.json,
            unknowns: &document.unknowns,
        }
    }
}

/// An unknown value of a part, and its candidates.
struct Slot<'d> {
    part: usize,
    unknown: &'d UnknownValue,
    candidates: Vec<Option<Value>>,
}

/// Returns the findings that occur with every combination of candidate values.
///
/// `check` returns the findings of the selected rules, or `None` if the values do not form a record.
fn certain_findings(
    parts: &[Part<'_>],
    mut check: impl FnMut(&[&Value], &dyn Fn(&str) -> bool) -> Option<Vec<Finding>>,
) -> Vec<Finding> {
    let initial: Vec<&Value> = parts.iter().map(|part| part.json).collect();
    let slots = find_slots(parts);
    let mut remaining: Vec<Finding> = check(&initial, &|_| true)
        .unwrap_or_default()
        .into_iter()
        .filter(|finding| !is_about_unknown(finding, parts[0].unknowns))
        .map(|finding| with_written_text(finding, &slots, &initial))
        .collect();

    for values in variations(&slots, &initial) {
        if remaining.is_empty() {
            break;
        }

        let rules: BTreeSet<&str> = remaining.iter().map(|finding| finding.rule).collect();
        let values: Vec<&Value> = values.iter().collect();
        // Only rules with remaining findings need to run again.
        let Some(found) = check(&values, &|rule| rules.contains(rule)) else {
            continue;
        };
        let found: Vec<_> = found
            .into_iter()
            .map(|finding| with_written_text(finding, &slots, &values))
            .collect();
        remaining.retain_mut(|finding| recurs(finding, &found));
    }

    remaining
}

/// Returns whether a finding is among others, and drops its fix if the fix depends on the unknown values.
fn recurs(finding: &mut Finding, others: &[Finding]) -> bool {
    let key = |finding: &Finding| (finding.rule, finding.severity, finding.pointer.clone());
    let same = others.iter().find(|other| {
        key(other) == key(finding) && other.message == finding.message && other.hint == finding.hint
    });
    // A fix that differs between candidates would write one of them into the file.
    let fix = same.and_then(|other| other.fix.as_ref());
    finding.fix = finding.fix.take().filter(|own| Some(own) == fix);
    same.is_some()
}

fn find_slots<'d>(parts: &[Part<'d>]) -> Vec<Slot<'d>> {
    let mut literals = Literals::default();
    for part in parts {
        literals.collect(part.json);
    }

    let unknowns = parts.iter().enumerate().flat_map(|(index, part)| {
        let unknowns = part.unknowns.iter();
        unknowns.map(move |unknown| (index, unknown))
    });
    unknowns
        .map(|(part, unknown)| Slot {
            part,
            unknown,
            candidates: candidates(unknown, &literals),
        })
        .collect()
}

/// Returns the parts with candidates filled in: all slots at once, then halves of them, so that for any two
/// slots some trial varies one and leaves the other at its initial value. The number of trials grows with the
/// logarithm of the number of slots.
fn variations<'v>(
    slots: &'v [Slot<'_>],
    initial: &'v [&Value],
) -> impl Iterator<Item = Vec<Value>> + 'v {
    let longest = slots.iter().map(|slot| slot.candidates.len()).max();
    let bits = usize::BITS - slots.len().saturating_sub(1).leading_zeros();
    // Bit `b` of a slot's index decides its half in group `b`; two indices differ in at least one bit.
    let halves = (0..bits).flat_map(|bit| [(bit, 0), (bit, 1)].map(Some));
    let groups: Vec<Option<(u32, usize)>> = std::iter::once(None).chain(halves).collect();
    // Shorter lists of candidates start over, so every slot varies in every turn.
    let turns = 0..longest.unwrap_or(0);
    let trials =
        turns.flat_map(move |turn| groups.clone().into_iter().map(move |group| (turn, group)));
    let values = trials.map(move |(turn, group)| {
        let mut values: Vec<Value> = initial.iter().copied().cloned().collect();
        for (index, slot) in slots.iter().enumerate() {
            if group.is_none_or(|(bit, half)| (index >> bit) & 1 == half) {
                let candidate = &slot.candidates[turn % slot.candidates.len().max(1)];
                set(
                    &mut values[slot.part],
                    &slot.unknown.pointer,
                    candidate.as_ref(),
                );
            }
        }
        values
    });

    values.take(max_variations(initial))
}

/// Returns the number of trials, of which each looks at every value of the documents.
fn max_variations(documents: &[&Value]) -> usize {
    let size: usize = documents.iter().map(|document| count(document)).sum();
    (MAX_VISITED / size.max(1)).clamp(MIN_VARIATIONS, MAX_VARIATIONS)
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(entries) => 1 + entries.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Enough for hundreds of unknown values; bounds the time for a hostile text.
const MAX_VARIATIONS: usize = 4000;
/// Enough to vary each of thousands of unknown values against each other, once.
const MIN_VARIATIONS: usize = 100;
/// The values that all trials together look at: the candidates grow with the text, and so does each trial.
const MAX_VISITED: usize = 2_000_000;

fn set(value: &mut Value, pointer: &str, to: Option<&Value>) {
    // An existing value, also inside a list, is replaced in place.
    if let (Some(location), Some(to)) = (value.pointer_mut(pointer), to) {
        *location = to.clone();
        return;
    }

    let Some((enclosing, key)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(Value::Object(entries)) = value.pointer_mut(enclosing) {
        match to {
            Some(to) => entries.insert(key.to_owned(), to.clone()),
            None => entries.remove(key),
        };
    }
}

/// Returns whether a finding is about a completely unknown value. A finding about an entry with a key of the
/// user's may be about the key; if it is about the value, it does not recur with every candidate.
fn is_about_unknown(finding: &Finding, unknowns: &[UnknownValue]) -> bool {
    let pointer = finding.pointer.as_deref().unwrap_or_default();
    unknowns
        .iter()
        .filter(|unknown| !unknown.is_partly_known() && !unknown.own_key)
        .any(|unknown| {
            let inside = pointer.strip_prefix(&*unknown.pointer);
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// Replaces candidate texts in a finding with the expressions of the file.
fn with_written_text(mut finding: Finding, slots: &[Slot<'_>], values: &[&Value]) -> Finding {
    for slot in slots.iter().filter(|slot| slot.unknown.is_partly_known()) {
        let value = values[slot.part].pointer(&slot.unknown.pointer);
        if let Some(text) = value.and_then(Value::as_str) {
            let written = format_as_sub(&slot.unknown.pieces);
            finding.message = finding.message.replace(text, &written);
            finding.hint = finding.hint.replace(text, &written);
        }
    }
    finding
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MAX_VARIATIONS, MAX_VISITED, max_variations};

    #[test]
    fn all_trials_together_look_at_a_bounded_number_of_values() {
        assert_eq!(
            max_variations(&[&json!({ "family": "web" })]),
            MAX_VARIATIONS
        );
        for containers in [500, 5000] {
            let document =
                json!({ "containerDefinitions": vec![json!({ "image": "web:1" }); containers] });
            let size = 2 + 2 * containers;
            assert!(
                max_variations(&[&document]) * size <= MAX_VISITED,
                "{containers}"
            );
        }
    }
}
