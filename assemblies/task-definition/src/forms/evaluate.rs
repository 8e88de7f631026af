//! What a value of a template means: functions that can be worked out are, and the rest is unknown.

use crate::place::escape;
use crate::source::{Node, NodeValue};

use super::template::{Answer, Question, Template, World};

/// What a value means.
pub(super) enum Meant {
    /// This value, which stands at the pointer; `because` says why, where the text does not show it.
    Plain {
        node: Node,
        pointer: String,
        because: Option<String>,
    },
    /// No value at all: `AWS::NoValue`.
    Nothing,
    /// A value that nobody knows before the stack exists, as far as it is known.
    Unknown(Vec<Piece>),
}

/// A part of a text that is known in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Known.
    Text(String),
    /// Unknown; what it is the value of, as `Fn::Sub` would name it.
    Open(String),
}

/// Looks at a template in one of the ways it can turn out.
pub(super) struct Evaluator<'t> {
    template: &'t Template<'t>,
    world: &'t World,
    /// The questions whose answers mattered.
    pub(super) asked: Vec<(Question, Vec<Answer>)>,
}

impl<'t> Evaluator<'t> {
    pub(super) fn new(template: &'t Template<'t>, world: &'t World) -> Self {
        Self {
            template,
            world,
            asked: Vec::new(),
        }
    }

    /// What the value at the pointer means.
    pub(super) fn meant(&mut self, node: &Node, pointer: &str) -> Meant {
        let Some((name, argument)) = function(node) else {
            return plain(node.clone(), pointer, None);
        };
        let inside = format!("{pointer}/{}", escape(name));

        match (name, argument.items()) {
            ("Ref", _) => self.reference(node, argument, pointer),
            ("Fn::If", [condition, _, _]) => {
                let holds = condition.text().is_some_and(|name| self.condition(name, 0));
                let branch = if holds { 1 } else { 2 };
                self.meant(&argument.items()[branch], &format!("{inside}/{branch}"))
            }
            ("Fn::FindInMap", [map, first, second, ..]) => {
                self.mapping(node, pointer, [map, first, second])
            }
            ("Fn::Select", [index, list]) => self.selected(index, list, &inside),
            ("Fn::Sub" | "Fn::Join", _) => {
                let mut because = None;
                let pieces = self.pieces(node, &mut because);
                match written(&pieces) {
                    Some(text) => plain(as_text(node, text), pointer, because),
                    None => Meant::Unknown(pieces),
                }
            }
            ("Fn::GetAtt", parts) => {
                let parts: Vec<_> = parts.iter().filter_map(Node::text).collect();
                let name = argument
                    .text()
                    .map_or_else(|| parts.join("."), str::to_owned);
                Meant::Unknown(vec![Piece::Open(name)])
            }
            (name, _) => Meant::Unknown(vec![Piece::Open(name.to_owned())]),
        }
    }

    /// Whether a condition holds, in this world.
    pub(super) fn condition(&mut self, name: &str, depth: usize) -> bool {
        let expression = self.template.condition(name);
        expression.is_some_and(|expression| self.holds(expression, depth))
    }

    fn holds(&mut self, expression: &Node, depth: usize) -> bool {
        let Some((name, argument)) = function(expression).filter(|_| depth < DEEPEST) else {
            return false;
        };
        let items = argument.items();

        match name {
            "Condition" => argument
                .text()
                .is_some_and(|name| self.condition(name, depth + 1)),
            "Fn::Not" => !items.iter().any(|item| self.holds(item, depth + 1)),
            "Fn::And" => self.all(items, depth).into_iter().all(|holds| holds),
            "Fn::Or" => self.all(items, depth).into_iter().any(|holds| holds),
            "Fn::Equals" => self.equal(expression, items),
            _ => false,
        }
    }

    /// Every part is asked, so that each question is heard of.
    fn all(&mut self, items: &[Node], depth: usize) -> Vec<bool> {
        let answers = items.iter().map(|item| self.holds(item, depth + 1));
        answers.collect()
    }

    fn equal(&mut self, expression: &Node, items: &[Node]) -> bool {
        let [left, right] = items else { return false };
        for (one, other) in [(left, right), (right, left)] {
            if let (Some(name), Some(word)) = (self.template.parameter_named(one), scalar(other)) {
                let answers = self.template.answers(name);
                let answer = self.ask(Question::Parameter(name.to_owned()), answers);
                return answer == Answer::Is(word);
            }
        }

        let (left, right) = (self.text(left), self.text(right));
        if let (Some(left), Some(right)) = (left, right) {
            return left == right;
        }

        let question = Question::Comparison(expression.to_json().to_string());
        self.ask(question, vec![Answer::Holds(false), Answer::Holds(true)]) == Answer::Holds(true)
    }

    fn ask(&mut self, question: Question, answers: Vec<Answer>) -> Answer {
        let answer = self.world.get(&question).or(answers.first()).cloned();
        self.asked.push((question, answers));
        answer.unwrap_or(Answer::Other)
    }

    fn reference(&mut self, node: &Node, argument: &Node, pointer: &str) -> Meant {
        let name = argument.text().unwrap_or_default();
        if name == "AWS::NoValue" {
            return Meant::Nothing;
        }

        match self.parameter(name) {
            Some((value, because)) => {
                let node = Node {
                    value,
                    ..node.clone()
                };
                plain(node, pointer, Some(because))
            }
            None => Meant::Unknown(vec![Piece::Open(name.to_owned())]),
        }
    }

    /// The value of a parameter and why it is that, where it is known.
    fn parameter(&mut self, name: &str) -> Option<(NodeValue, String)> {
        let question = Question::Parameter(name.to_owned());
        let text = match self.world.get(&question) {
            Some(Answer::Is(text)) => text.clone(),
            Some(_) => return None,
            None => self.template.default_of(name)?,
        };

        let because = if self.template.default_of(name).as_ref() == Some(&text) {
            format!("the default of the parameter `{name}`")
        } else {
            format!("the parameter `{name}` may be `{text}`")
        };

        Some((self.template.typed(name, text), because))
    }

    fn mapping(&mut self, node: &Node, pointer: &str, [map, first, second]: [&Node; 3]) -> Meant {
        let unknown = Meant::Unknown(vec![Piece::Open("Fn::FindInMap".to_owned())]);
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

        let because = format!("`{column}` of `{row_name}` in the mapping `{map_name}`");
        let node = Node {
            value: found.value.clone(),
            span: node.span,
        };

        plain(node, pointer, Some(because))
    }

    /// A key of a mapping; a parameter may be any of the keys.
    fn key(&mut self, node: &Node, rows: &Node) -> Option<String> {
        let Some(name) = self.template.parameter_named(node) else {
            return self.text(node);
        };
        let mut answers = self.template.answers(name);

        if !self.template.is_limited(name) {
            let keys = rows.entries().iter();
            let more = keys.map(|(key, _)| Answer::Is(key.name.clone()));
            answers.extend(
                more.filter(|one| !answers.contains(one))
                    .collect::<Vec<_>>(),
            );
        }

        match self.ask(Question::Parameter(name.to_owned()), answers) {
            Answer::Is(text) => Some(text),
            _ => None,
        }
    }

    fn selected(&mut self, index: &Node, list: &Node, inside: &str) -> Meant {
        let unknown = Meant::Unknown(vec![Piece::Open("Fn::Select".to_owned())]);
        let Some(index) = self.text(index).and_then(|text| text.parse::<usize>().ok()) else {
            return unknown;
        };
        let Meant::Plain { node, pointer, .. } = self.meant(list, &format!("{inside}/1")) else {
            return unknown;
        };
        match node.items().get(index) {
            Some(item) => self.meant(item, &format!("{pointer}/{index}")),
            None => unknown,
        }
    }

    /// The text that a value means, if all of it is known.
    fn text(&mut self, node: &Node) -> Option<String> {
        written(&self.pieces(node, &mut None))
    }

    /// The text that a value means, in parts.
    fn pieces(&mut self, node: &Node, because: &mut Option<String>) -> Vec<Piece> {
        match function(node).map(|(name, argument)| (name, argument, argument.items())) {
            Some(("Fn::Sub", _, [text, variables])) => {
                self.substituted(text.text().unwrap_or_default(), Some(variables), because)
            }
            Some(("Fn::Sub", argument, _)) => {
                self.substituted(argument.text().unwrap_or_default(), None, because)
            }
            Some(("Fn::Join", _, [between, list])) if function(list).is_none() => {
                let between = between.text().unwrap_or_default();
                let mut all = Vec::new();
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        all.push(Piece::Text(between.to_owned()));
                    }
                    all.extend(self.pieces(item, because));
                }
                all
            }
            Some(("Fn::Join", ..)) => vec![Piece::Open("Fn::Join".to_owned())],
            _ => match self.meant(node, "") {
                Meant::Plain {
                    node, because: why, ..
                } => {
                    *because = because.take().or(why);
                    match scalar(&node) {
                        Some(text) => vec![Piece::Text(text)],
                        None => vec![Piece::Open("a list".to_owned())],
                    }
                }
                Meant::Nothing => Vec::new(),
                Meant::Unknown(pieces) => pieces,
            },
        }
    }

    fn substituted(
        &mut self,
        text: &str,
        variables: Option<&Node>,
        because: &mut Option<String>,
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else {
                break;
            };
            pieces.push(Piece::Text(before.to_owned()));
            rest = tail;

            if let Some(literal) = name.strip_prefix('!') {
                pieces.push(Piece::Text(format!("${{{literal}}}")));
                continue;
            }

            let name = name.trim();
            if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                pieces.extend(self.pieces(value, because));
                continue;
            }

            match self
                .parameter(name)
                .and_then(|(value, why)| Some((text_of(&value)?, why)))
            {
                Some((value, why)) => {
                    *because = because.take().or(Some(why));
                    pieces.push(Piece::Text(value));
                }
                None => pieces.push(Piece::Open(name.to_owned())),
            }
        }

        pieces.push(Piece::Text(rest.to_owned()));
        pieces
    }
}

/// Conditions that ask each other in a circle end here.
const DEEPEST: usize = 32;

/// The function a value calls, and its argument.
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

/// A string, a number or a boolean as text.
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

fn written(pieces: &[Piece]) -> Option<String> {
    let parts: Option<Vec<&str>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Open(_) => None,
        })
        .collect();
    Some(parts?.concat())
}

fn as_text(node: &Node, text: String) -> Node {
    Node {
        value: NodeValue::Text(text),
        span: node.span,
    }
}

fn plain(node: Node, pointer: &str, because: Option<String>) -> Meant {
    Meant::Plain {
        node,
        pointer: pointer.to_owned(),
        because,
    }
}
