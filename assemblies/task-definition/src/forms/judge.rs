//! All findings about documents, in the user's words, and none that hangs on an unknown value.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::finding::Finding;
use crate::read::Located;
use crate::request::{Request, Situation};
use crate::rules::{check_by, check_use_by};
use crate::source::Source;
use crate::task::TaskDefinition;

use super::convert::Hole;
use super::reading::{Document, Reading, Subject, read_any};
use super::stand_in::{Vocabulary, candidates, shown};

/// All that is wrong in a text, whatever its form.
pub fn judge(source: &Source) -> Vec<Finding> {
    judge_beside(&read_any(source), &[])
}

/// All that is wrong in several texts, of which services may use definitions of others.
pub fn judge_all(sources: &[Source]) -> Vec<Finding> {
    let readings: Vec<Reading> = sources.iter().map(read_any).collect();
    let documents = readings.iter().flat_map(Reading::documents);
    let documents: Vec<Document> = documents.cloned().collect();
    let found = readings
        .iter()
        .flat_map(|one| judge_beside(one, &documents));
    found.collect()
}

/// All that is wrong in the documents of a text; what they use may be in other texts.
pub fn judge_beside(reading: &Reading, others: &[Document]) -> Vec<Finding> {
    let mut found = reading.findings.clone();
    let mut judged = BTreeSet::new();
    for world in &reading.worlds {
        for document in world {
            let definition = used(document, world.iter().chain(others));
            // Most documents come out the same in most worlds.
            if !judged.insert((document.identity(), definition.map(Document::identity))) {
                continue;
            }

            for finding in findings(document, definition) {
                if !found.contains(&finding) {
                    found.push(finding);
                }
            }
        }
    }

    found.sort_by_key(|finding| finding.place.order());
    found
}

/// The definition that a service or a request uses.
fn used<'d>(
    document: &Document,
    mut others: impl Iterator<Item = &'d Document>,
) -> Option<&'d Document> {
    let name = document.uses.as_ref()?;
    others
        .find(|other| matches!(other.subject, Subject::Definition(_)) && other.names.contains(name))
}

fn findings(document: &Document, definition: Option<&Document>) -> Vec<Finding> {
    let found = match &document.subject {
        Subject::Definition(located) => about_definition(document, located),
        Subject::Use(..) => about_use(document, definition),
    };
    found
        .into_iter()
        .map(|one| document.words.said(one))
        .collect()
}

fn about_definition(document: &Document, located: &Located) -> Vec<Finding> {
    let mut trial = located.clone();
    settled(&[Part::of(document)], |values, wanted| {
        trial.definition = serde_json::from_value(values[0].clone()).ok()?;
        Some(check_by(&trial, wanted))
    })
}

fn about_use(document: &Document, definition: Option<&Document>) -> Vec<Finding> {
    let Subject::Use(request, places) = &document.subject else {
        return Vec::new();
    };
    let parts = std::iter::once(document).chain(definition).map(Part::of);

    settled(&parts.collect::<Vec<_>>(), |values, wanted| {
        let request = again(request, &values[0])?;
        let definition: Option<TaskDefinition> = match values.get(1) {
            Some(value) => Some(serde_json::from_value(value.clone()).ok()?),
            None => None,
        };

        let situation = Situation {
            request: &request,
            definition: definition.as_ref(),
        };
        Some(check_use_by(&situation, places, wanted))
    })
}

/// The same kind of request with other values.
fn again(request: &Request, value: &Value) -> Option<Request> {
    let value = value.clone();
    Some(match request {
        Request::Service(_) => Request::Service(Box::new(serde_json::from_value(value).ok()?)),
        Request::RunTask(_) => Request::RunTask(Box::new(serde_json::from_value(value).ok()?)),
    })
}

/// A document that takes part in a judgement, and what of it is unknown.
struct Part<'d> {
    json: &'d Value,
    holes: &'d [Hole],
}

impl<'d> Part<'d> {
    fn of(document: &'d Document) -> Self {
        Self {
            json: &document.json,
            holes: &document.holes,
        }
    }
}

/// An unknown value, what it may be, and of which part it is.
struct Open<'d> {
    part: usize,
    hole: &'d Hole,
    candidates: Vec<Option<Value>>,
}

/// The findings that are made whatever the unknown values are.
///
/// `judge` is asked for the findings of the wanted rules; it has no answer for values that make no record.
fn settled(
    parts: &[Part<'_>],
    mut judge: impl FnMut(&[Value], &dyn Fn(&str) -> bool) -> Option<Vec<Finding>>,
) -> Vec<Finding> {
    let usual: Vec<Value> = parts.iter().map(|part| part.json.clone()).collect();
    let open = open(parts);
    let mut left: Vec<Finding> = judge(&usual, &|_| true)
        .unwrap_or_default()
        .into_iter()
        .filter(|finding| !is_about_a_hole(finding, parts[0].holes))
        .map(|finding| told(finding, &open, &usual))
        .collect();

    for values in variations(&open, &usual) {
        if left.is_empty() {
            break;
        }

        let rules: BTreeSet<&str> = left.iter().map(|finding| finding.rule).collect();
        let Some(found) = judge(&values, &|rule| rules.contains(rule)) else {
            continue;
        };
        let found = found.into_iter().map(|one| told(one, &open, &values));
        let found: Vec<_> = found.collect();
        left.retain_mut(|one| stands(one, &found));
    }

    left
}

/// Whether a finding is among others; a fix that hangs on an unknown value is no fix.
fn stands(one: &mut Finding, others: &[Finding]) -> bool {
    let what = |finding: &Finding| (finding.rule, finding.severity, finding.pointer.clone());
    let same = others.iter().find(|other| {
        what(other) == what(one) && other.message == one.message && other.hint == one.hint
    });
    let fix = same.and_then(|other| other.fix.as_ref());
    one.fix = one.fix.take().filter(|own| Some(own) == fix);
    same.is_some()
}

fn open<'d>(parts: &[Part<'d>]) -> Vec<Open<'d>> {
    let mut known = Vocabulary::default();
    for part in parts {
        known.learn(part.json);
    }

    let holes = parts.iter().enumerate();
    let holes = holes.flat_map(|(part, one)| one.holes.iter().map(move |hole| (part, hole)));
    let open = holes.map(|(part, hole)| Open {
        part,
        hole,
        candidates: candidates(hole, &known),
    });

    open.collect()
}

/// The unknown values with one candidate after the other: all of them at once, then about half of them, so
/// that of any two there are trials in which the one is varied and the other is as usual. To vary each by
/// itself would take as many trials as there are unknown values.
fn variations<'v>(
    open: &'v [Open<'_>],
    usual: &'v [Value],
) -> impl Iterator<Item = Vec<Value>> + 'v {
    let most = open.iter().map(|one| one.candidates.len()).max();
    let bits = usize::BITS - open.len().saturating_sub(1).leading_zeros();
    let halves = (0..bits).flat_map(|bit| [(bit, 0), (bit, 1)].map(Some));
    let groups: Vec<Option<(u32, usize)>> = std::iter::once(None).chain(halves).collect();
    let turns = 0..most.unwrap_or(0);
    let trials =
        turns.flat_map(move |turn| groups.clone().into_iter().map(move |group| (turn, group)));
    let values = trials.map(move |(turn, group)| {
        let mut values = usual.to_vec();
        for (index, one) in open.iter().enumerate() {
            if group.is_none_or(|(bit, half)| (index >> bit) & 1 == half) {
                let candidate = &one.candidates[turn % one.candidates.len().max(1)];
                set(&mut values[one.part], &one.hole.pointer, candidate.as_ref());
            }
        }
        values
    });

    values.take(MOST_VARIATIONS)
}

/// Enough for hundreds of unknown values; a text made to be slow is not.
const MOST_VARIATIONS: usize = 4000;

fn set(value: &mut Value, pointer: &str, to: Option<&Value>) {
    if let (Some(place), Some(to)) = (value.pointer_mut(pointer), to) {
        *place = to.clone();
        return;
    }

    let Some((around, key)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(Value::Object(entries)) = value.pointer_mut(around) {
        match to {
            Some(to) => entries.insert(key.to_owned(), to.clone()),
            None => entries.remove(key),
        };
    }
}

/// Whether it is about a value of which nothing is known. (Of an entry with the user's own key it may be
/// about the key; if it is about the value, it does not stand with every value.)
fn is_about_a_hole(finding: &Finding, holes: &[Hole]) -> bool {
    let pointer = finding.pointer.as_deref().unwrap_or_default();
    holes
        .iter()
        .filter(|hole| !hole.is_partly_known() && !hole.own_key)
        .any(|hole| {
            let inside = pointer.strip_prefix(&*hole.pointer);
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// The finding with what the user wrote in place of what stands in for it.
fn told(mut finding: Finding, open: &[Open<'_>], values: &[Value]) -> Finding {
    for one in open.iter().filter(|one| one.hole.is_partly_known()) {
        let value = values[one.part].pointer(&one.hole.pointer);
        if let Some(text) = value.and_then(Value::as_str) {
            let written = shown(&one.hole.pieces);
            finding.message = finding.message.replace(text, &written);
            finding.hint = finding.hint.replace(text, &written);
        }
    }
    finding
}
