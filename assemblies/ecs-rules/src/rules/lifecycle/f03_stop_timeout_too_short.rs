use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F03",
    name: "stop-timeout-too-short",
    severity: Severity::Warning,
    title: "stopTimeout is shorter than the program's own grace period",
    explanation: "ECS sends SIGKILL stopTimeout seconds after SIGTERM, 30 by default. A program that \
                  drains for as long or longer is killed with requests in flight. The rule \
                  recognizes the drain time by the names of variables and options.",
    source: "ECS API, ContainerDefinition, field stopTimeout",
    hint: "Raise stopTimeout above the drain time, up to 120, or lower the drain time.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "environment": [{ "name": "SHUTDOWN_TIMEOUT", "value": "45s" }], "stopTimeout": 60, "memory": 128 }]
}"#,
    // The default stopTimeout of 30 s is shorter than 45 s.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "environment": [{ "name": "SHUTDOWN_TIMEOUT", "value": "45s" }], "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let stop = container.stop_timeout.unwrap_or(30);
        let Some((field, what, drain)) = drain_time(container).filter(|(.., drain)| *drain >= stop)
        else {
            continue;
        };
        let message = format!(
            "`{}` is killed {stop} s after SIGTERM, but {what} allows {drain} s",
            container.name
        );
        // Five seconds for the program to exit after draining.
        let sufficient = drain.saturating_add(5);

        if sufficient <= 120 {
            let hint = format!("write \"stopTimeout\": {sufficient}, or drain faster");
            report.add(format!("{pointer}/{field}"), message, hint);
            let edits = vec![Edit::Set(
                format!("{pointer}/stopTimeout"),
                json!(sufficient),
            )];
            report.fix(format!("write \"stopTimeout\": {sufficient}"), edits);
        } else {
            let hint = "drain faster; Fargate waits at most 120 s";
            report.add(format!("{pointer}/{field}"), message, hint);
        }
    }
}

/// Returns the field that sets the drain time, its name, and the seconds.
fn drain_time(container: &ContainerDefinition) -> Option<(String, String, u32)> {
    let variables = container.environment.iter().enumerate();
    let by_variable = variables.filter_map(|(index, variable)| {
        let name = variable.name.to_uppercase();
        let is_known = VARIABLES.iter().any(|ending| name.ends_with(ending));
        let seconds = parse_seconds(&variable.value).filter(|_| is_known)?;
        let field = format!("environment/{index}/value");
        Some((field, variable.name.clone(), seconds))
    });

    let words = container.command.iter().enumerate();
    let by_option = words.filter_map(|(index, word)| {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (
                word.as_str(),
                container.command.get(index + 1).map(String::as_str),
            ),
        };

        let seconds = parse_seconds(value.filter(|_| OPTIONS.contains(&option))?)?;
        Some((format!("command/{index}"), option.to_owned(), seconds))
    });

    by_variable
        .chain(by_option)
        // The longest value decides when the program exits.
        .max_by_key(|(.., seconds)| *seconds)
}

/// Parses `25s`, `1m` or `1500ms`. A bare number is seconds, or milliseconds from 1000.
fn parse_seconds(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.trim().parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(number / 1000),
        "" if number >= 1000 => Some(number / 1000),
        "" | "s" | "sec" | "seconds" => Some(number),
        "m" | "min" => number.checked_mul(60),
        _ => None,
    }
}

const VARIABLES: [&str; 8] = [
    "DRAIN_TIMEOUT",
    "DRAIN_TIMEOUT",
    "GRACEFUL_TIMEOUT",
    "SHUTDOWN_GRACE_PERIOD",
    "SHUTDOWN_TIMEOUT",
    "SHUTDOWN_TIMEOUT_SECONDS",
    "STOP_GRACE_PERIOD",
    "TERMINATION_GRACE_PERIOD",
];

/// Options of gunicorn and uvicorn.
const OPTIONS: [&str; 2] = ["--graceful-timeout", "--timeout-graceful-shutdown"];

#[cfg(test)]
mod tests {
    use super::parse_seconds;

    #[test]
    fn parses_common_duration_formats() {
        for (text, expected) in [
            ("25", Some(25)),
            ("25s", Some(25)),
            ("30000", Some(30)),
            ("30000ms", Some(30)),
            ("2m", Some(120)),
            ("99999999m", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_seconds(text), expected, "{text}");
        }
    }
}
