//! From resources of a template to documents, in each of the ways in which the template can turn out.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::place::{Place, escape};
use crate::record::Shaped;
use crate::service::Service;
use crate::source::{Key, Node, NodeValue, Source};
use crate::task::TaskDefinition;

use super::convert::{Converted, Converter, Hole};
use super::evaluate::{Evaluator, Piece};
use super::reading::{Document, Reading, definition, service};
use super::recognise::{TASK_DEFINITION, ours};
use super::template::{Questions, Template, World, worlds};
use super::words::{Language, Words};

/// A template: its resources, in each of the ways in which it can turn out.
pub(super) fn template(source: &Source, root: &Node, pointer: &str, reading: &mut Reading) {
    let template = Template::new(root);
    let mut questions = Questions::new();
    for _ in 0..MOST_ROUNDS {
        let mut more = questions.clone();
        reading.worlds.clear();
        reading.findings.clear();

        for world in worlds(&questions) {
            let mut evaluator = Evaluator::new(&template, &world);
            let resources = resources(source, root, pointer, &mut evaluator);
            learn(&mut more, &evaluator);
            reading.worlds.push(resources.0);

            for finding in resources.1 {
                if !reading.findings.contains(&finding) {
                    reading.findings.push(finding);
                }
            }
        }

        if more == questions {
            return;
        }
        questions = more;
    }
}

/// New answers can lead to new questions, but not for ever.
const MOST_ROUNDS: usize = 4;

fn learn(questions: &mut Questions, evaluator: &Evaluator<'_>) {
    for (question, answers) in &evaluator.asked {
        let known = questions.entry(question.clone()).or_default();
        let more = answers.iter().filter(|one| !known.contains(one)).cloned();
        let more: Vec<_> = more.collect();
        known.extend(more);
    }
}

fn resources(
    source: &Source,
    root: &Node,
    pointer: &str,
    evaluator: &mut Evaluator<'_>,
) -> (Vec<Document>, Vec<Finding>) {
    let (mut documents, mut findings) = (Vec::new(), Vec::new());
    let all = root.get("Resources").map_or(&[][..], Node::entries);
    for (key, resource) in all {
        let Some(kind) = resource.get("Type").and_then(Node::text).and_then(ours) else {
            continue;
        };
        let condition = resource.get("Condition").and_then(Node::text);

        if condition.is_some_and(|name| !evaluator.condition(name, 0)) {
            continue;
        }

        let at = format!("{pointer}/Resources/{}/Properties", escape(&key.name));
        let empty = Node {
            value: NodeValue::Map(Vec::new()),
            span: key.span,
        };
        let node = resource.get("Properties").unwrap_or(&empty);

        match properties(source, kind, node, &at, &key.name, evaluator, &mut findings) {
            Ok(mut document) => {
                // What is missing is missing from the resource, not from its first property.
                document.stands_at(Place::in_text(source, key.span));
                documents.push(document);
            }
            Err(more) => findings.extend(more),
        }
    }

    (documents, findings)
}

/// A resource without a template around it.
pub(super) fn alone(
    source: &Source,
    kind: &'static str,
    node: &Node,
    pointer: &str,
) -> Result<Document, Vec<Finding>> {
    let nothing = Node {
        value: NodeValue::Null,
        span: node.span,
    };
    let (template, world) = (Template::new(&nothing), World::new());
    let mut evaluator = Evaluator::new(&template, &world);
    let mut findings = Vec::new();
    let document = properties(
        source,
        kind,
        node,
        pointer,
        "",
        &mut evaluator,
        &mut findings,
    );

    match document {
        Ok(document) if findings.is_empty() => Ok(document),
        Ok(_) => Err(findings),
        Err(more) => Err(findings.into_iter().chain(more).collect()),
    }
}

fn properties(
    source: &Source,
    kind: &'static str,
    node: &Node,
    pointer: &str,
    id: &str,
    evaluator: &mut Evaluator<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Document, Vec<Finding>> {
    let is_definition = kind == TASK_DEFINITION;
    let shape = if is_definition {
        TaskDefinition::SHAPE
    } else {
        Service::SHAPE
    };

    let mut converter = Converter {
        source,
        resource: kind,
        evaluator,
        converted: Converted::default(),
    };

    let node = converter.properties(node, shape, pointer);
    let Converted {
        holes,
        words,
        reasons,
        findings: unknown,
    } = converter.converted;

    let is_whole = unknown.is_empty();
    findings.extend(unknown);
    let Some(mut node) = node else {
        return Err(Vec::new());
    };
    let own_name = if is_definition {
        "family"
    } else {
        "serviceName"
    };

    name(&mut node, own_name, id);
    let elsewhere: BTreeSet<String> = reasons
        .keys()
        .cloned()
        .chain(holes.iter().map(|hole| hole.pointer.clone()))
        .collect();
    let words = Words {
        language: Language::CloudFormation,
        pointers: words,
        elsewhere,
    };
    let mut document = if is_definition {
        definition(source, node, words)?
    } else {
        service(source, &node, words)?
    };

    // As with other forms, what has fields that nobody knows is not judged further.
    if !is_whole {
        return Err(Vec::new());
    }
    document.names.push(id.to_owned());

    let resource = logical_id(&holes);
    // What the service uses is in the same template, so nothing about it is unknown.
    let known = |hole: &Hole| resource.is_some() && hole.pointer == "/taskDefinition";
    document.holes = holes.into_iter().filter(|hole| !known(hole)).collect();
    document.uses = resource.or(document.uses);
    document.explain(&reasons);

    Ok(document)
}

/// CloudFormation makes up a name where none is given.
fn name(node: &mut Node, field: &str, id: &str) {
    let span = node.span;
    if node.get(field).is_some() {
        return;
    }
    if let NodeValue::Map(entries) = &mut node.value {
        let text = if id.is_empty() { "resource" } else { id };
        let value = NodeValue::Text(text.to_owned());
        let name = field.to_owned();
        entries.push((Key { name, span }, Node { value, span }));
    }
}

/// The resource that a service's task definition is a reference to.
fn logical_id(holes: &[Hole]) -> Option<String> {
    let hole = holes
        .iter()
        .find(|hole| hole.pointer == "/taskDefinition")?;
    match &*hole.pieces {
        [Piece::Open(name)] => Some(name.split('.').next().unwrap_or(name).to_owned()),
        _ => None,
    }
}
