//! Evaluates the conditions of a template.

use diagnostics::source::Node;

use super::{Evaluator, function, scalar};
use crate::inputs::template::{Answer, Question};

impl Evaluator<'_> {
    /// Returns whether a condition holds under this assignment.
    pub(in crate::inputs) fn condition(&mut self, name: &str, depth: usize) -> bool {
        let expression = self.template.condition(name);
        expression.is_some_and(|expression| self.holds(expression, depth))
    }

    fn holds(&mut self, expression: &Node, depth: usize) -> bool {
        // A condition is always a function call; anything else cannot hold.
        let Some((name, argument)) = function(expression).filter(|_| depth < MAX_CONDITION_DEPTH)
        else {
            return false;
        };
        let items = argument.items();

        match name {
            "Condition" => argument
                .text()
                .is_some_and(|name| self.condition(name, depth + 1)),
            "Fn::Not" => !items.iter().any(|item| self.holds(item, depth + 1)),
            "Fn::And" => self
                .evaluate_all(items, depth)
                .into_iter()
                .all(|holds| holds),
            "Fn::Or" => self
                .evaluate_all(items, depth)
                .into_iter()
                .any(|holds| holds),
            "Fn::Equals" => self.equal(expression, items),
            _ => false,
        }
    }

    /// Evaluates every operand without short-circuiting, so that all questions are recorded.
    fn evaluate_all(&mut self, items: &[Node], depth: usize) -> Vec<bool> {
        items
            .iter()
            .map(|item| self.holds(item, depth + 1))
            .collect()
    }

    fn equal(&mut self, expression: &Node, items: &[Node]) -> bool {
        let [left, right] = items else { return false };
        // A parameter compared with a literal is a question about the parameter, shared by all conditions.
        for (side, other) in [(left, right), (right, left)] {
            let parameter = self.template.referenced_parameter(side);
            if let (Some(name), Some(word)) = (parameter, scalar(other)) {
                let answers = self.template.answers(name);
                let answer = self.ask(Question::Parameter(name.to_owned()), answers);
                return answer == Answer::Is(word);
            }
        }

        // Two known texts decide the comparison without a question.
        let (left, right) = (self.text(left), self.text(right));
        if let (Some(left), Some(right)) = (left, right) {
            return left == right;
        }

        // Any other comparison may have either result. The expression identifies it in all
        // conditions.
        let question = Question::Comparison(expression.to_json().to_string());
        self.ask(question, vec![Answer::Holds(false), Answer::Holds(true)]) == Answer::Holds(true)
    }
}

/// Bounds the evaluation of conditions that refer to each other in a cycle.
const MAX_CONDITION_DEPTH: usize = 32;
