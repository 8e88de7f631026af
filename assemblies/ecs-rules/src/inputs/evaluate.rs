//! Evaluates the functions of a template as far as its text allows; other values are unknown.

use diagnostics::escape;
use diagnostics::source::{Node, NodeValue, Span};

use super::template::{Answer, Assignment, Question, Template};

mod condition;

/// The result of evaluating a value.
pub(super) enum Resolved {
    /// A known value at a pointer, with its derivation if it differs from the text.
    Known {
        node: Node,
        pointer: String,
        reason: Option<String>,
    },
    /// `AWS::NoValue`: the property is removed.
    NoValue,
    /// A value that is unknown before the stack exists, in parts.
    Unknown(Vec<Piece>),
}

/// A part of a partly known text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Known.
    Text(String),
    /// Unknown: the name as `Fn::Sub` would write it.
    Unknown(String),
}

/// Evaluates a template under one assignment of its questions.
pub(super) struct Evaluator<'t> {
    template: &'t Template<'t>,
    assignment: &'t Assignment,
    /// The questions that the evaluation depended on.
    pub(super) questions: Vec<(Question, Vec<Answer>)>,
    /// What could not be evaluated, with its span.
    pub(super) not_evaluated: Vec<(Span, String)>,
}

impl<'t> Evaluator<'t> {
    pub(super) fn new(template: &'t Template<'t>, assignment: &'t Assignment) -> Self {
        Self {
            template,
            assignment,
            questions: Vec::new(),
            not_evaluated: Vec::new(),
        }
    }

    /// Evaluates the value at a pointer.
    pub(super) fn resolve(&mut self, node: &Node, pointer: &str) -> Resolved {
        let Some((name, argument)) = function(node) else {
            return known_value(node.clone(), pointer, None);
        };
        let inside = format!("{pointer}/{}", escape(name));

        match (name, argument.items()) {
            ("Ref", _) => self.reference(node, argument, pointer),
            ("Fn::If", [condition, _, _]) => {
                // A condition that is not a name is invalid; it selects the second branch.
                let holds = condition.text().is_some_and(|name| self.condition(name, 0));
                let branch = if holds { 1 } else { 2 };
                self.resolve(&argument.items()[branch], &format!("{inside}/{branch}"))
            }
            ("Fn::FindInMap", [map, first, second, ..]) => {
                self.mapping(node, pointer, [map, first, second])
            }
            ("Fn::Select", [index, list]) => self.select(index, list, &inside),
            ("Fn::Sub" | "Fn::Join", _) => {
                let mut reason = None;
                let pieces = self.pieces(node, &mut reason);
                match join_known(&pieces) {
                    Some(text) => known_value(text_node(node, text), pointer, reason),
                    None => Resolved::Unknown(pieces),
                }
            }
            ("Fn::GetAtt", parts) => {
                let parts: Vec<_> = parts.iter().filter_map(Node::text).collect();
                let name = argument
                    .text()
                    .map_or_else(|| parts.join("."), str::to_owned);
                Resolved::Unknown(vec![Piece::Unknown(name)])
            }
            // Fn::ImportValue, Fn::Split, macros and others are not evaluated.
            (name, _) => Resolved::Unknown(vec![Piece::Unknown(name.to_owned())]),
        }
    }

    fn ask(&mut self, question: Question, answers: Vec<Answer>) -> Answer {
        // Without an assignment, the first answer is the default.
        let answer = self.assignment.get(&question).or(answers.first()).cloned();
        self.questions.push((question, answers));
        answer.unwrap_or(Answer::Other)
    }

    fn reference(&mut self, node: &Node, argument: &Node, pointer: &str) -> Resolved {
        let name = argument.text().unwrap_or_default();
        // The pseudo parameter removes the property that contains it.
        if name == "AWS::NoValue" {
            return Resolved::NoValue;
        }

        match self.parameter(name) {
            Some((value, reason)) => {
                let node = Node {
                    value,
                    ..node.clone()
                };
                known_value(node, pointer, Some(reason))
            }
            None => Resolved::Unknown(vec![Piece::Unknown(name.to_owned())]),
        }
    }

    /// Returns the value of a parameter and its derivation, if known.
    fn parameter(&mut self, name: &str) -> Option<(NodeValue, String)> {
        let question = Question::Parameter(name.to_owned());
        // Conditions and values must agree on the parameter under one assignment.
        let text = match self.assignment.get(&question) {
            Some(Answer::Is(text)) => text.clone(),
            Some(_) => return None,
            None => self.template.default_value(name)?,
        };

        let reason = if self.template.default_value(name).as_ref() == Some(&text) {
            format!("the default of the parameter `{name}`")
        } else {
            format!("the parameter `{name}` may be `{text}`")
        };

        Some((self.template.typed_value(name, text), reason))
    }

    fn mapping(
        &mut self,
        node: &Node,
        pointer: &str,
        [map, first, second]: [&Node; 3],
    ) -> Resolved {
        let unknown = Resolved::Unknown(vec![Piece::Unknown("Fn::FindInMap".to_owned())]);
        let Some(map_name) = self.text(map) else {
            return unknown;
        };
        let Some(rows) = self.template.mapping(&map_name) else {
            return unknown;
        };
        let Some(row_name) = self.key(first, rows) else {
            return unknown;
        };
        let Some(row) = rows.get(&row_name) else {
            return unknown;
        };
        let Some(column) = self.key(second, row) else {
            return unknown;
        };
        let Some(found) = row.get(&column) else {
            return unknown;
        };

        let reason = format!("`{column}` of `{row_name}` in the mapping `{map_name}`");
        let node = Node {
            value: found.value.clone(),
            span: node.span,
        };

        known_value(node, pointer, Some(reason))
    }

    /// Returns a key of a mapping. A parameter may be any of the keys.
    fn key(&mut self, node: &Node, rows: &Node) -> Option<String> {
        let Some(name) = self.template.referenced_parameter(node) else {
            return self.text(node);
        };
        let mut answers = self.template.answers(name);

        if !self.template.has_allowed_values(name) {
            let keys = rows.entries().iter();
            // An unrestricted parameter must be one of the keys, or the stack cannot be created.
            let more = keys.map(|(key, _)| Answer::Is(key.name.clone()));
            answers.extend(
                more.filter(|answer| !answers.contains(answer))
                    .collect::<Vec<_>>(),
            );
        }

        match self.ask(Question::Parameter(name.to_owned()), answers) {
            Answer::Is(text) => Some(text),
            _ => None,
        }
    }

    fn select(&mut self, index: &Node, list: &Node, inside: &str) -> Resolved {
        let unknown = Resolved::Unknown(vec![Piece::Unknown("Fn::Select".to_owned())]);
        let Some(index) = self.text(index).and_then(|text| text.parse::<usize>().ok()) else {
            return unknown;
        };
        let Resolved::Known { node, pointer, .. } = self.resolve(list, &format!("{inside}/1"))
        else {
            return unknown;
        };
        match node.items().get(index) {
            Some(item) => self.resolve(item, &format!("{pointer}/{index}")),
            None => unknown,
        }
    }

    /// Returns the text of a value, if all of it is known.
    fn text(&mut self, node: &Node) -> Option<String> {
        join_known(&self.pieces(node, &mut None))
    }

    /// Returns the text of a value in parts.
    fn pieces(&mut self, node: &Node, reason: &mut Option<String>) -> Vec<Piece> {
        match function(node).map(|(name, argument)| (name, argument, argument.items())) {
            Some(("Fn::Sub", _, [text, variables])) => {
                self.substitute(text.text().unwrap_or_default(), Some(variables), reason)
            }
            Some(("Fn::Sub", argument, _)) => {
                self.substitute(argument.text().unwrap_or_default(), None, reason)
            }
            Some(("Fn::Join", _, [between, list])) if function(list).is_none() => {
                let between = between.text().unwrap_or_default();
                let mut all = Vec::new();
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        all.push(Piece::Text(between.to_owned()));
                    }
                    all.extend(self.pieces(item, reason));
                }
                all
            }
            Some(("Fn::Join", ..)) => vec![Piece::Unknown("Fn::Join".to_owned())],
            _ => match self.resolve(node, "") {
                Resolved::Known {
                    node, reason: own, ..
                } => {
                    // The first derivation is enough for a message.
                    *reason = reason.take().or(own);
                    match scalar(&node) {
                        Some(text) => vec![Piece::Text(text)],
                        None => vec![Piece::Unknown("a list".to_owned())],
                    }
                }
                Resolved::NoValue => Vec::new(),
                Resolved::Unknown(pieces) => pieces,
            },
        }
    }

    fn substitute(
        &mut self,
        text: &str,
        variables: Option<&Node>,
        reason: &mut Option<String>,
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else {
                break;
            };
            pieces.push(Piece::Text(before.to_owned()));
            rest = tail;

            // `${!Name}` is the literal `${Name}`.
            if let Some(literal) = name.strip_prefix('!') {
                pieces.push(Piece::Text(format!("${{{literal}}}")));
                continue;
            }

            // Spaces inside the braces are not part of the name.
            let name = name.trim();
            if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                pieces.extend(self.pieces(value, reason));
                continue;
            }

            match self
                .parameter(name)
                .and_then(|(value, own)| Some((text_of(&value)?, own)))
            {
                Some((value, own)) => {
                    *reason = reason.take().or(Some(own));
                    pieces.push(Piece::Text(value));
                }
                None => pieces.push(Piece::Unknown(name.to_owned())),
            }
        }

        pieces.push(Piece::Text(rest.to_owned()));
        pieces
    }
}

/// Returns the function that a value calls, and its argument.
pub(super) fn function(node: &Node) -> Option<(&str, &Node)> {
    match node.entries() {
        [(key, argument)]
            if key.name == "Ref" || key.name == "Condition" || key.name.starts_with("Fn::") =>
        {
            Some((&key.name, argument))
        }
        _ => None,
    }
}

/// Returns a string, number or boolean as text.
pub(super) fn scalar(node: &Node) -> Option<String> {
    text_of(&node.value)
}

fn text_of(value: &NodeValue) -> Option<String> {
    match value {
        NodeValue::Text(text) => Some(text.clone()),
        NodeValue::Number(number) => Some(number.to_string()),
        NodeValue::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn join_known(pieces: &[Piece]) -> Option<String> {
    let parts: Option<Vec<&str>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Unknown(_) => None,
        })
        .collect();
    Some(parts?.concat())
}

fn text_node(node: &Node, text: String) -> Node {
    Node {
        value: NodeValue::Text(text),
        span: node.span,
    }
}

fn known_value(node: Node, pointer: &str, reason: Option<String>) -> Resolved {
    Resolved::Known {
        node,
        pointer: pointer.to_owned(),
        reason,
    }
}
