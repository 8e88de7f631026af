use serde_json::json;

use crate::container::ContainerDefinition;
use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F03",
    name: "stop-timeout-too-short",
    severity: Severity::Warning,
    title: "stopTimeout is shorter than the program's own grace period",
    explanation: "Between SIGTERM and SIGKILL lie stopTimeout seconds, 30 when nothing is said. A \
                  program that is told to drain for as long or longer is killed in the middle of it, \
                  with requests in flight. Known by the names of variables and options that say so.",
    source: "ECS API, ContainerDefinition, field stopTimeout",
    hint: "Raise stopTimeout above the drain time, up to 120, or lower the drain time.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "environment": [{ "name": "SHUTDOWN_TIMEOUT", "value": "45s" }], "stopTimeout": 60, "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "environment": [{ "name": "SHUTDOWN_TIMEOUT", "value": "45s" }], "memory": 128 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let stop = one.stop_timeout.unwrap_or(30);
        let Some((location, what, drain)) = drain(one).filter(|(.., drain)| *drain >= stop) else {
            continue;
        };
        let message = format!(
            "`{}` is killed {stop} s after SIGTERM, and {what} lets it take {drain} s",
            one.name
        );
        let enough = drain.saturating_add(5);

        if enough <= 120 {
            let hint = format!("write \"stopTimeout\": {enough}, or drain faster");
            report.add(format!("{pointer}/{location}"), message, hint);
            let edits = vec![Edit::Set(format!("{pointer}/stopTimeout"), json!(enough))];
            report.fix(format!("write \"stopTimeout\": {enough}"), edits);
        } else {
            let hint = "drain faster; Fargate waits 120 s at most";
            report.add(format!("{pointer}/{location}"), message, hint);
        }
    }
}

/// Where a container says how long it drains, by what name, and the seconds.
fn drain(one: &ContainerDefinition) -> Option<(String, String, u32)> {
    let variables = one.environment.iter().enumerate();
    let by_variable = variables.filter_map(|(index, variable)| {
        let name = variable.name.to_uppercase();
        let named = VARIABLES.iter().any(|ending| name.ends_with(ending));
        let seconds = parse_seconds(&variable.value).filter(|_| named)?;
        let location = format!("environment/{index}/value");
        Some((location, variable.name.clone(), seconds))
    });

    let words = one.command.iter().enumerate();
    let by_option = words.filter_map(|(index, word)| {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (
                word.as_str(),
                one.command.get(index + 1).map(String::as_str),
            ),
        };

        let seconds = parse_seconds(value.filter(|_| OPTIONS.contains(&option))?)?;
        Some((format!("command/{index}"), option.to_owned(), seconds))
    });

    by_variable
        .chain(by_option)
        .max_by_key(|(.., seconds)| *seconds)
}

/// `25s`, `1m`, `1500ms`; a bare number is seconds, or milliseconds from 1000.
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
    "DRAIN_LIMIT",
    "DRAIN_TIMEOUT",
    "GRACEFUL_TIMEOUT",
    "SHUTDOWN_GRACE_PERIOD",
    "SHUTDOWN_TIMEOUT",
    "SHUTDOWN_TIMEOUT_SECONDS",
    "STOP_GRACE_PERIOD",
    "TERMINATION_GRACE_PERIOD",
];

/// Of gunicorn and uvicorn.
const OPTIONS: [&str; 2] = ["--graceful-timeout", "--timeout-graceful-shutdown"];

#[cfg(test)]
mod tests {
    use super::parse_seconds;

    #[test]
    fn reads_the_usual_ways_to_write_a_time() {
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
