//! Trust policies: whether ECS may assume a role for a task.

use serde_json::Value;

use super::items;

/// Returns why `ecs-tasks.amazonaws.com` cannot assume a role for tasks of an account; `None` if it can.
///
/// Source: "Task IAM role" in the ECS developer guide, "Create the task IAM role": the conditions
/// `aws:SourceAccount` and `aws:SourceArn`.
pub(super) fn refusal(document: &str, account: &str, source: &str) -> Option<String> {
    let Some(policy) = parse(document) else {
        return Some("its trust policy cannot be read".to_owned());
    };
    let statements: Vec<&Value> = match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        statement => vec![statement],
    };

    let mut conditions = Vec::new();
    for statement in statements {
        let is_for_tasks = statement["Effect"] == "Allow"
            && has(&statement["Principal"]["Service"], SERVICE)
            && has(&statement["Action"], "sts:AssumeRole");
        if !is_for_tasks {
            continue;
        }
        match unmet(&statement["Condition"], account, source) {
            None => return None,
            Some(condition) => conditions.push(condition),
        }
    }

    Some(match conditions.pop() {
        Some(condition) => {
            format!("its trust policy has the condition {condition}, which tasks do not meet")
        }
        None => format!("its trust policy does not let {SERVICE} assume it"),
    })
}

/// Returns a condition that a task of the account does not meet.
fn unmet(condition: &Value, account: &str, source: &str) -> Option<String> {
    for (test, keys) in condition.as_object().into_iter().flatten() {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let value = match key.to_ascii_lowercase().as_str() {
                "aws:sourceaccount" => account,
                "aws:sourcearn" => source,
                // Other keys are not known here; that a task does not meet them is not certain.
                _ => continue,
            };
            let is_met = match test.as_str() {
                "StringEquals" => texts(wanted).any(|text| text == value),
                // "Using the aws:SourceArn condition key to specify a specific cluster is not currently supported".
                "StringLike" | "ArnLike" | "ArnEquals" => texts(wanted)
                    .any(|pattern| !pattern.contains(":cluster/") && is_like(pattern, value)),
                _ => true,
            };
            if !is_met {
                return Some(format!("{test} {key} {wanted}"));
            }
        }
    }

    None
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_str()
        .into_iter()
        .chain(items(value).filter_map(Value::as_str))
}

fn has(value: &Value, text: &str) -> bool {
    texts(value).any(|pattern| is_like(pattern, text))
}

/// Returns whether a text matches a pattern with `*` and `?`. A `*` in the text is for an unknown end, which matches
/// every pattern.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if text[t] == '*' {
            return true;
        }
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // Backtracks: the last `*` takes one character more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }

    pattern[p..].iter().all(|rest| *rest == '*')
}

/// Parses a document of IAM, which is JSON with the escapes of a URL.
fn parse(document: &str) -> Option<Value> {
    let mut bytes = Vec::with_capacity(document.len());
    let mut rest = document.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    serde_json::from_slice(&bytes).ok()
}

const SERVICE: &str = "ecs-tasks.amazonaws.com";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_like, refusal};

    fn refusal_with(condition: Value) -> Option<String> {
        let policy = json!({ "Statement": { "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": { "Service": ["ecs-tasks.amazonaws.com"] }, "Condition": condition } });
        let document = policy.to_string().replace('"', "%22");
        refusal(
            &document,
            "111122223333",
            "arn:aws:ecs:eu-central-1:111122223333:*",
        )
    }

    #[test]
    fn conditions_are_compared_with_the_account() {
        let account = |account: &str| json!({ "StringEquals": { "aws:SourceAccount": account } });
        let arn = |arn: &str| json!({ "ArnLike": { "aws:SourceArn": arn } });
        assert_eq!(refusal_with(json!({})), None);
        assert_eq!(refusal_with(account("111122223333")), None);
        assert!(refusal_with(account("444455556666")).is_some());
        assert_eq!(
            refusal_with(arn("arn:aws:ecs:eu-central-1:111122223333:*")),
            None
        );

        assert!(refusal_with(arn("arn:aws:ecs:eu-central-1:111122223333:cluster/main")).is_some());
        assert_eq!(refusal_with(arn("arn:aws:ecs:*:111122223333:*")), None);
        assert!(refusal_with(arn("arn:aws:ecs:us-east-1:111122223333:*")).is_some());
        assert!(
            refusal_with(json!({ "ArnEquals": { "aws:SourceArn": "arn:aws:ecs:us-east-1:1:*" } }))
                .is_some()
        );
    }

    #[test]
    fn other_services_are_refused() {
        let policy = json!({ "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": { "Service": "ec2.amazonaws.com" } }] });
        let message = refusal(&policy.to_string(), "1", "arn");
        assert!(message.is_some_and(|text| text.contains("does not let ecs-tasks")));
        assert!(refusal("%zz", "1", "arn").is_some());
    }

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?c", "abc", true),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("abc", "ab*", true),
            ("xbc", "ab*", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
