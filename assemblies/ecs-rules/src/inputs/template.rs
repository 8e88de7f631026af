//! The parameters, mappings and conditions of a CloudFormation template, and the assignments to check.

use std::collections::BTreeMap;

use diagnostics::source::{Node, NodeValue};

use super::evaluate::{function, scalar};

/// An input that a condition depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// The value of a parameter.
    Parameter(String),
    /// The result of any other comparison.
    Comparison(String),
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The parameter has this value.
    Is(String),
    /// The parameter has none of the values that the template compares it with.
    Other,
    /// The result of the comparison.
    Holds(bool),
}

/// An assignment of answers to the questions of a template.
pub(super) type Assignment = BTreeMap<Question, Answer>;

/// Questions with all their answers. The first answer is the default.
pub(super) type Questions = BTreeMap<Question, Vec<Answer>>;

/// The parts of a template that values refer to.
pub(super) struct Template<'n> {
    root: &'n Node,
}

impl<'n> Template<'n> {
    pub(super) fn new(root: &'n Node) -> Self {
        Self { root }
    }

    /// Returns the expression of a condition.
    pub(super) fn condition(&self, name: &str) -> Option<&'n Node> {
        self.root.get("Conditions")?.get(name)
    }

    /// Returns the rows of a mapping.
    pub(super) fn mapping(&self, name: &str) -> Option<&'n Node> {
        self.root.get("Mappings")?.get(name)
    }

    fn parameter(&self, name: &str) -> Option<&'n Node> {
        self.root.get("Parameters")?.get(name)
    }

    /// Returns the name of the parameter that a value refers to.
    pub(super) fn referenced_parameter<'v>(&self, node: &'v Node) -> Option<&'v str> {
        let (_, argument) = function(node).filter(|(name, _)| *name == "Ref")?;
        let name = argument.text()?;
        self.parameter(name).map(|_| name)
    }

    /// Returns the default of a parameter, if the stack uses it unchanged.
    pub(super) fn default_value(&self, name: &str) -> Option<String> {
        let parameter = self.parameter(name)?;
        let kind = parameter
            .get("Type")
            .and_then(Node::text)
            .unwrap_or_default();
        // The default of such a parameter is the name of an SSM parameter, not the value.
        if kind.starts_with("AWS::SSM::Parameter::Value") {
            return None;
        }
        scalar(parameter.get("Default")?)
    }

    /// Converts a text to the type of a parameter.
    pub(super) fn typed_value(&self, name: &str, text: String) -> NodeValue {
        let parameter = self.parameter(name);
        let kind = parameter.and_then(|node| node.get("Type")?.text());
        let span = parameter.map(|node| node.span).unwrap_or_default();

        match kind {
            // The value of a list parameter is one comma-separated text.
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

    /// Returns whether a parameter has `AllowedValues`.
    pub(super) fn has_allowed_values(&self, name: &str) -> bool {
        self.parameter(name)
            .is_some_and(|node| node.get("AllowedValues").is_some())
    }

    /// Returns the values of a parameter that conditions can distinguish, its default first.
    pub(super) fn answers(&self, name: &str) -> Vec<Answer> {
        let default = self.default_value(name);
        let limited = self.has_allowed_values(name);
        let mut words: Vec<String> = default.clone().into_iter().collect();

        if let Some(allowed) = self
            .parameter(name)
            .and_then(|node| node.get("AllowedValues"))
        {
            words.extend(allowed.items().iter().filter_map(scalar));
        } else if let Some(conditions) = self.root.get("Conditions") {
            collect_compared_values(conditions, name, &mut words);
        }

        let mut answers: Vec<Answer> = Vec::new();
        for word in words {
            let answer = Answer::Is(word);
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }

        // Any value outside the compared ones takes the same branches, so one answer covers them all.
        if !limited {
            let at = usize::from(default.is_some());
            answers.insert(at, Answer::Other);
        }

        answers
    }
}

/// Collects the literals that a parameter is compared with.
fn collect_compared_values(node: &Node, name: &str, words: &mut Vec<String>) {
    let is_parameter = |side: &Node| {
        function(side).is_some_and(|(call, to)| call == "Ref" && to.text() == Some(name))
    };

    if let Some(("Fn::Equals", argument)) = function(node)
        && let [left, right] = argument.items()
    {
        for (side, other) in [(left, right), (right, left)] {
            words.extend(Some(other).filter(|_| is_parameter(side)).and_then(scalar));
        }
    }

    let below = node.entries().iter().map(|(_, value)| value);
    for child in node.items().iter().chain(below) {
        collect_compared_values(child, name, words);
    }
}

/// Returns all combinations of answers or, if there are too many, each answer once beside the defaults.
pub(super) fn assignments(questions: &Questions) -> Vec<Assignment> {
    let default: Assignment = questions
        .iter()
        .filter_map(|(question, answers)| Some((question.clone(), answers.first()?.clone())))
        .collect();
    let mut all = vec![default.clone()];
    // Saturating, because a hostile template may have hundreds of conditions.
    let combinations = questions.values().fold(1_usize, |product, answers| {
        product.saturating_mul(answers.len().max(1))
    });

    for (question, answers) in questions {
        // With few combinations each assignment so far is extended; otherwise only the default one.
        let from = if combinations <= MAX_ASSIGNMENTS {
            all.clone()
        } else {
            vec![default.clone()]
        };
        for assignment in from {
            all.extend(answers.iter().skip(1).map(|answer| {
                let mut other = assignment.clone();
                other.insert(question.clone(), answer.clone());
                other
            }));
        }
    }

    all.truncate(MAX_ASSIGNMENTS);
    all
}

/// The largest number of assignments that are checked.
const MAX_ASSIGNMENTS: usize = 48;
