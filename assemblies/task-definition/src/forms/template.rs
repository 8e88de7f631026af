//! A CloudFormation template: its parameters, mappings and conditions, and the ways it can turn out.

use std::collections::BTreeMap;

use crate::source::{Node, NodeValue};

use super::evaluate::{function, scalar};

/// What the answer of a condition hangs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// What a parameter is.
    Parameter(String),
    /// Whether a comparison of something else holds.
    Comparison(String),
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The parameter is this.
    Is(String),
    /// The parameter is none of the words that the template knows.
    Other,
    /// The comparison holds, or not.
    Holds(bool),
}

/// One way in which a template can turn out.
pub(super) type World = BTreeMap<Question, Answer>;

/// Questions, and all answers to each; the first is the usual one.
pub(super) type Questions = BTreeMap<Question, Vec<Answer>>;

/// The parts of a template that values refer to.
pub(super) struct Template<'n> {
    root: &'n Node,
}

impl<'n> Template<'n> {
    pub(super) fn new(root: &'n Node) -> Self {
        Self { root }
    }

    /// The expression of a condition.
    pub(super) fn condition(&self, name: &str) -> Option<&'n Node> {
        self.root.get("Conditions")?.get(name)
    }

    /// The rows of a mapping.
    pub(super) fn mapping(&self, name: &str) -> Option<&'n Node> {
        self.root.get("Mappings")?.get(name)
    }

    fn parameter(&self, name: &str) -> Option<&'n Node> {
        self.root.get("Parameters")?.get(name)
    }

    /// The parameter that a value refers to, if it does.
    pub(super) fn parameter_named<'v>(&self, node: &'v Node) -> Option<&'v str> {
        let (_, argument) = function(node).filter(|(name, _)| *name == "Ref")?;
        let name = argument.text()?;
        self.parameter(name).map(|_| name)
    }

    /// The default of a parameter, if its value is what the stack gets.
    pub(super) fn default_of(&self, name: &str) -> Option<String> {
        let parameter = self.parameter(name)?;
        let kind = parameter
            .get("Type")
            .and_then(Node::text)
            .unwrap_or_default();
        // The default of such a parameter is the name under which the value is kept.
        if kind.starts_with("AWS::SSM::Parameter::Value") {
            return None;
        }
        scalar(parameter.get("Default")?)
    }

    /// The text as a parameter's type has it.
    pub(super) fn typed(&self, name: &str, text: String) -> NodeValue {
        let parameter = self.parameter(name);
        let kind = parameter.and_then(|one| one.get("Type")?.text());
        let span = parameter.map(|one| one.span).unwrap_or_default();

        match kind {
            Some(kind) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
                let items = text.split(',').map(|item| Node {
                    value: NodeValue::Text(item.trim().to_owned()),
                    span,
                });
                NodeValue::List(items.collect())
            }
            _ => NodeValue::Text(text),
        }
    }

    /// Whether a parameter can only be one of certain words.
    pub(super) fn is_limited(&self, name: &str) -> bool {
        self.parameter(name)
            .is_some_and(|one| one.get("AllowedValues").is_some())
    }

    /// What a parameter can be, as far as conditions can tell; its default first.
    pub(super) fn answers(&self, name: &str) -> Vec<Answer> {
        let default = self.default_of(name);
        let limited = self.is_limited(name);
        let mut words: Vec<String> = default.clone().into_iter().collect();

        if let Some(allowed) = self
            .parameter(name)
            .and_then(|one| one.get("AllowedValues"))
        {
            words.extend(allowed.items().iter().filter_map(scalar));
        } else if let Some(conditions) = self.root.get("Conditions") {
            compared(conditions, name, &mut words);
        }

        let mut answers: Vec<Answer> = Vec::new();
        for word in words {
            let answer = Answer::Is(word);
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }

        if !limited {
            let at = usize::from(default.is_some());
            answers.insert(at, Answer::Other);
        }

        answers
    }
}

/// The words that a parameter is compared with.
fn compared(node: &Node, name: &str, words: &mut Vec<String>) {
    let is_it = |one: &Node| {
        function(one).is_some_and(|(call, to)| call == "Ref" && to.text() == Some(name))
    };

    if let Some(("Fn::Equals", argument)) = function(node)
        && let [left, right] = argument.items()
    {
        for (one, other) in [(left, right), (right, left)] {
            words.extend(Some(other).filter(|_| is_it(one)).and_then(scalar));
        }
    }

    let below = node.entries().iter().map(|(_, value)| value);
    for one in node.items().iter().chain(below) {
        compared(one, name, words);
    }
}

/// All combinations of answers, or where they are too many, each answer once beside the usual ones.
pub(super) fn worlds(questions: &Questions) -> Vec<World> {
    let usual: World = questions
        .iter()
        .filter_map(|(question, answers)| Some((question.clone(), answers.first()?.clone())))
        .collect();
    let mut all = vec![usual.clone()];
    let combinations = questions.values().fold(1_usize, |product, answers| {
        product.saturating_mul(answers.len().max(1))
    });

    for (question, answers) in questions {
        let from = if combinations <= MOST_WORLDS {
            all.clone()
        } else {
            vec![usual.clone()]
        };
        for world in from {
            all.extend(answers.iter().skip(1).map(|answer| {
                let mut other = world.clone();
                other.insert(question.clone(), answer.clone());
                other
            }));
        }
    }

    all.truncate(MOST_WORLDS);
    all
}

/// More ways than this are not looked at.
const MOST_WORLDS: usize = 48;
