//! Passes the rules' passing cases to botocore and cfn-lint. Both are read from the workspace's `.venv`, which
//! `make setup` creates; without it the test is skipped.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;

use diagnostics::source::Source;
use ecs_rules::rules;
use task_definition::read;

#[path = "../../task-definition/tests/python/mod.rs"]
mod python;
use python::run_with_input;

#[test]
fn botocore_and_cfn_lint_accept_every_passing_case() {
    let definitions: BTreeMap<_, _> = rules()
        .iter()
        // The examples of rules about a whole template are templates, not definitions.
        .filter(|rule| !rule.passing.contains("\"Resources\""))
        .map(|rule| {
            (
                rule.id,
                read(&Source::new(rule.id, rule.passing))
                    .unwrap()
                    .definition,
            )
        })
        .collect();

    let count = definitions.len();
    let input = serde_json::to_string(&definitions).unwrap();
    let program = include_str!("other_tools.py");
    let Some(messages) = run_with_input("the passing cases", "cfnlint", program, &input) else {
        return;
    };
    let messages: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        serde_json::from_value(messages).unwrap();

    assert_eq!(messages.len(), count);
    for (rule, by_tool) in messages {
        assert_eq!(by_tool["botocore"], [""; 0], "{rule}");
        if !UNKNOWN_TO_CFN_LINT.contains(&rule.as_str()) {
            assert_eq!(by_tool["cfn-lint"], [""; 0], "{rule}");
        }
    }
}

/// CloudFormation does not have the field that T18 checks.
const UNKNOWN_TO_CFN_LINT: [&str; 1] = ["T18"];
