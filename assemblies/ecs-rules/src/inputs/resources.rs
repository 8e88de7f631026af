//! Converts the resources of a template to documents, once per assignment of its conditions.

use diagnostics::source::{Key, Node, NodeValue, Source, Span};
use diagnostics::{Finding, Location};
use task_definition::{ExpressService, HasSchema, Service, TaskDefinition};

use super::convert::{Conversion, Converter, UnknownValue};
use super::detect::{TASK_DEFINITION, supported_resource};
use super::document::{Document, NotEvaluated, ParsedInput};
use super::evaluate::{Evaluator, Piece};
use super::express::{self, EXPRESS};
use super::for_each::{Resource, expand};
use super::read::{Reading, definition, service};
use super::source_map::{Naming, SourceMap};
use super::stack::check_stack;
use super::template::{Assignment, Questions, Template, assignments};

/// Reads the resources of a template under every assignment.
pub(super) fn template(source: &Source, root: &Node, pointer: &str, input: &mut ParsedInput) {
    let template = Template::new(root);
    let mut questions = Questions::new();
    // Answers can reach further questions, so the assignments are recomputed until no question is new.
    for _ in 0..MAX_ROUNDS {
        let mut more = questions.clone();
        input.variants.clear();
        input.findings.clear();
        input.not_evaluated.clear();

        for assignment in assignments(&questions) {
            let mut evaluator = Evaluator::new(&template, &assignment);
            let (documents, findings) = resources(source, root, pointer, &mut evaluator);
            add_questions(&mut more, &evaluator);
            add_not_evaluated(source, evaluator.not_evaluated, input);
            input.variants.push(documents);

            for finding in findings {
                if !input.findings.contains(&finding) {
                    input.findings.push(finding);
                }
            }
        }

        if more == questions {
            return;
        }
        questions = more;
    }
}

/// The largest number of rounds in which new answers may lead to new questions.
const MAX_ROUNDS: usize = 4;

fn add_questions(questions: &mut Questions, evaluator: &Evaluator<'_>) {
    for (question, answers) in &evaluator.questions {
        let known = questions.entry(question.clone()).or_default();
        for answer in answers {
            if !known.contains(answer) {
                known.push(answer.clone());
            }
        }
    }
}

fn add_not_evaluated(source: &Source, parts: Vec<(Span, String)>, input: &mut ParsedInput) {
    for (span, message) in parts {
        let location = Location::from_span(source, span);
        let part = NotEvaluated { location, message };
        if !input.not_evaluated.contains(&part) {
            input.not_evaluated.push(part);
        }
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
    let at = format!("{pointer}/Resources");
    let resources = expand(all, &at, evaluator);
    for resource in &resources {
        let Some(kind) = supported_kind(resource, evaluator) else {
            continue;
        };
        let (id, node) = (&resource.id, &resource.node);
        let condition = node.get("Condition").and_then(Node::text);

        // A resource exists only under the assignments in which its condition holds.
        if condition.is_some_and(|name| !evaluator.condition(name, 0)) {
            continue;
        }

        let at = format!("{}/Properties", resource.pointer);
        // A resource without properties is checked as well: required ones are missing.
        let empty = Node {
            value: NodeValue::Map(Vec::new()),
            span: resource.span,
        };
        let node = node.get("Properties").unwrap_or(&empty);

        let (document, more) = properties(source, kind, node, &at, id, evaluator);
        findings.extend(more);
        if let Some(mut document) = document {
            // A missing property is missing from the resource, so the finding points to its name.
            document.set_location(Location::from_span(source, resource.span));
            documents.push(document);
        }
    }

    findings.extend(check_stack(source, &resources, evaluator));
    findings.extend(express::check_references(source, &resources, &documents));
    (documents, findings)
}

/// Returns the type of a resource, if the rules read it. Other resources of ECS are named as not evaluated.
fn supported_kind(resource: &Resource, evaluator: &mut Evaluator<'_>) -> Option<&'static str> {
    let kind = resource.node.get("Type").and_then(Node::text)?;
    let supported = supported_resource(kind);
    // A cluster has no rules, and nothing in it is about tasks.
    if supported.is_none() && kind.starts_with("AWS::ECS::") && kind != "AWS::ECS::Cluster" {
        let message = format!("`{}` of type {kind} is not evaluated", resource.id);
        evaluator.not_evaluated.push((resource.span, message));
    }
    supported
}

/// Reads a resource without its template.
pub(super) fn read_resource(
    source: &Source,
    kind: &'static str,
    node: &Node,
    pointer: &str,
) -> Reading {
    let no_template = Node {
        value: NodeValue::Null,
        span: node.span,
    };
    // Without a template there are no parameters, mappings or conditions.
    let (template, assignment) = (Template::new(&no_template), Assignment::new());
    let mut evaluator = Evaluator::new(&template, &assignment);
    properties(source, kind, node, pointer, "", &mut evaluator)
}

fn properties(
    source: &Source,
    kind: &'static str,
    node: &Node,
    pointer: &str,
    id: &str,
    evaluator: &mut Evaluator<'_>,
) -> Reading {
    let is_definition = kind == TASK_DEFINITION;
    let (schema, name_field) = match kind {
        TASK_DEFINITION => (TaskDefinition::SCHEMA, "family"),
        EXPRESS => (ExpressService::SCHEMA, "serviceName"),
        _ => (Service::SCHEMA, "serviceName"),
    };

    let mut converter = Converter {
        source,
        resource: kind,
        evaluator,
        conversion: Conversion::default(),
    };

    let node = converter.properties(node, schema, pointer);
    let Conversion {
        unknowns,
        pointers,
        reasons,
        mut findings,
    } = converter.conversion;

    let Some(mut node) = node else {
        return (None, findings);
    };
    add_name(&mut node, name_field, id);
    // A derived value is not written at its own pointer, so a fix cannot change it there.
    let unknown = unknowns.iter().map(|unknown| unknown.pointer.clone());
    let not_editable = reasons.keys().cloned().chain(unknown).collect();
    let source_map = SourceMap {
        naming: Naming::CloudFormation,
        pointers,
        not_editable,
    };
    if kind == EXPRESS {
        let (document, more) = express::read(source, &node, &source_map, unknowns);
        findings.extend(more);
        return (document, findings);
    }
    let (document, more) = if is_definition {
        definition(source, node, source_map)
    } else {
        service(source, node, source_map)
    };

    findings.extend(more);
    let document = document.map(|mut document| {
        add_references(&mut document, id, unknowns);
        document.add_derivations(&reasons);
        document
    });
    (document, findings)
}

/// Adds the name by which resources refer to the document, and the definition that it refers to.
fn add_references(document: &mut Document, id: &str, unknowns: Vec<UnknownValue>) {
    // `!Ref` uses the logical id, requests in other files use the family.
    document.names.push(id.to_owned());

    let resource = logical_id(&unknowns);
    // The referenced definition is in the same template, so the reference is not unknown.
    let is_known =
        |unknown: &UnknownValue| resource.is_some() && unknown.pointer == "/taskDefinition";
    let unknowns = unknowns.into_iter().filter(|unknown| !is_known(unknown));
    document.unknowns.extend(unknowns);
    document.task_definition = resource.or(document.task_definition.take());
}

/// Adds the name that CloudFormation would generate.
fn add_name(node: &mut Node, field: &str, id: &str) {
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

/// Returns the logical id of the resource that a service's task definition refers to.
fn logical_id(unknowns: &[UnknownValue]) -> Option<String> {
    let unknown = unknowns
        .iter()
        .find(|unknown| unknown.pointer == "/taskDefinition")?;
    match &*unknown.pieces {
        // `!GetAtt Task.TaskDefinitionArn` and `!Ref Task` both begin with the logical id.
        [Piece::Unknown(name)] => Some(name.split('.').next().unwrap_or(name).to_owned()),
        _ => None,
    }
}
