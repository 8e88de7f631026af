//! Events held against the patterns, and turned by the templates, as EventBridge's documentation says it does.

use serde_json::{Map, Value, json};

use super::*;

/// Whether an event matches a pattern. Fields below one list are tested on one and the same of its items.
fn matches(pattern: &Value, event: &Value) -> bool {
    let fields = pattern.as_object().expect("a pattern is a map");
    fields
        .iter()
        .all(|(name, wanted)| match (name.as_str(), wanted) {
            ("$or", wanted) => wanted
                .as_array()
                .expect("a list")
                .iter()
                .any(|one| matches(one, event)),
            (_, Value::Array(tests)) => {
                let found = &event[name];
                !found.is_null() && tests.iter().any(|test| passes(test, found))
            }
            (_, inner) => match &event[name] {
                Value::Array(items) => items.iter().any(|item| matches(inner, item)),
                found => found.is_object() && matches(inner, found),
            },
        })
}

fn passes(test: &Value, found: &Value) -> bool {
    let text = found.as_str().unwrap_or_default();
    let Some((name, argument)) = test.as_object().and_then(|test| test.iter().next()) else {
        return test == found;
    };
    let word = argument.as_str().unwrap_or_default();
    match name.as_str() {
        "prefix" => text.starts_with(word),
        "suffix" => text.ends_with(word),
        "wildcard" => wildcard(word, text),
        "anything-but" => !argument.as_array().expect("a list").contains(found),
        "numeric" => argument[0] == ">" && found.as_i64() > argument[1].as_i64(),
        other => panic!("no test is called {other}"),
    }
}

fn wildcard(pattern: &str, text: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let rest = letters.as_str();
            ends.into_iter().any(|at| wildcard(rest, &text[at..]))
        }
        Some(letter) => {
            let letter = if letter == '\\' {
                letters.next().expect("escaped")
            } else {
                letter
            };
            text.strip_prefix(letter)
                .is_some_and(|rest| wildcard(letters.as_str(), rest))
        }
    }
}

/// What a template becomes: a field in quotes is filled in as text, one without as JSON.
fn transformed(template: &str, paths: &BTreeMap<&str, &str>, event: &Value) -> Value {
    let mut text = template.to_owned();
    for (name, path) in paths {
        let pointer = path.trim_start_matches('$').replace('.', "/");
        let found = event.pointer(&pointer).expect("a path of the event");
        let plain = found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned);
        text = text.replace(&format!(":<{name}>"), &format!(":{found}"));
        text = text.replace(&format!("<{name}>"), &plain);
    }
    serde_json::from_str(&text).expect("JSON")
}

fn created(bucket: &str, key: &str, size: u32) -> Value {
    json!({
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": { "name": bucket },
            "object": { "key": key, "size": size, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F08299329D189" },
            "reason": "PutObject",
        },
    })
}

fn on_demand(prefix: Option<&str>, suffix: Option<&str>) -> OnDemand {
    let mut fields = Map::new();
    fields.insert("bucket".to_owned(), json!("films"));
    fields.insert("prefix".to_owned(), json!(prefix));
    fields.insert("suffix".to_owned(), json!(suffix));
    serde_json::from_value(Value::Object(fields)).expect("a trigger")
}

#[test]
fn the_pattern_takes_the_keys_that_are_meant_whatever_letters_they_have() {
    let pattern = pattern(&on_demand(Some("video/"), Some(".mp4")));
    for key in [
        "video/a.mp4",
        "video/a b+ü.mp4",
        "video/2026/%20.mp4",
        "video/.mp4",
    ] {
        assert!(matches(&pattern, &created("films", key, 1)), "{key}");
    }
    for key in [
        "Video/a.mp4",
        "video/a.mov",
        "my/video/a.mp4",
        "video/a.mp4.jpg",
        "video/",
    ] {
        assert!(!matches(&pattern, &created("films", key, 1)), "{key}");
    }
    assert!(!matches(&pattern, &created("others", "video/a.mp4", 1)));
    assert!(!matches(&pattern, &created("films", "video/a.mp4", 0)));
}

#[test]
fn a_star_in_a_prefix_is_a_star() {
    let pattern = pattern(&on_demand(Some("in*\\/"), Some(".mp4")));
    assert!(matches(&pattern, &created("films", "in*\\/a.mp4", 1)));
    assert!(!matches(&pattern, &created("films", "inner\\/a.mp4", 1)));
}

#[test]
fn one_end_or_none_is_enough() {
    for (prefix, suffix) in [(Some("v/"), None), (None, Some(".mp4")), (None, None)] {
        let pattern = pattern(&on_demand(prefix, suffix));
        assert!(matches(&pattern, &created("films", "v/a.mp4", 1)));
        assert_eq!(
            matches(&pattern, &created("films", "w/a.mov", 1)),
            prefix.is_none() && suffix.is_none()
        );
    }
}

#[test]
fn an_event_becomes_variables_of_the_container() {
    let variables = [
        variable("INPUT", "s3://{bucket}/{key}"),
        variable("KEY", "{key}"),
        variable("SIZE", "{size}"),
        variable("FIXED", "as \"it\" is"),
    ];
    let event = created("films", "video/a b+ü.mp4", 7);
    let template = overrides_template("app", &variables);
    let overrides = transformed(&template, &paths(&variables), &event);
    let environment = json!([
        { "name": "INPUT", "value": "s3://films/video/a b+ü.mp4" },
        { "name": "KEY", "value": "video/a b+ü.mp4" },
        { "name": "SIZE", "value": "7" },
        { "name": "FIXED", "value": "as \"it\" is" },
    ]);
    let wanted = json!({ "containerOverrides": [{ "name": "app", "environment": environment }] });
    assert_eq!(overrides, wanted);
    let message = transformed(&message_template(&variables), &paths(&variables), &event);
    assert_eq!(message["INPUT"], "s3://films/video/a b+ü.mp4");
    assert_eq!(message["SIZE"], "7");
}

#[test]
fn the_longest_overrides_are_no_shorter_than_any() {
    let variables = [
        variable("INPUT", "s3://{bucket}/{key}"),
        variable("ID", "{event}"),
    ];
    let event = created(&"b".repeat(63), &"k".repeat(1024), 7);
    let template = overrides_template("app", &variables);
    let overrides = transformed(&template, &paths(&variables), &event).to_string();
    assert!(overrides.len() <= longest("app", &variables));
}

#[test]
fn an_app_that_fails_is_a_failure_and_a_sidecar_that_does_is_not() {
    let pattern = failures("shop", "app", &json!("arn:cluster"));
    let ended = |app: Value, sidecar: Value, family: &str| {
        json!({
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "detail": {
                "clusterArn": "arn:cluster",
                "group": format!("family:{family}"),
                "lastStatus": "STOPPED",
                "stopCode": "EssentialContainerExited",
                "containers": [{ "name": "app", "exitCode": app }, { "name": "otel", "exitCode": sidecar }],
            },
        })
    };
    assert!(matches(&pattern, &ended(json!(143), json!(0), "shop")));
    assert!(!matches(&pattern, &ended(json!(0), json!(137), "shop")));
    assert!(!matches(&pattern, &ended(json!(1), json!(0), "others")));
    let mut never = ended(Value::Null, Value::Null, "shop");
    assert!(!matches(&pattern, &never));
    never["detail"]["stopCode"] = json!("TaskFailedToStart");
    assert!(matches(&pattern, &never));
    never["detail"]["lastStatus"] = json!("PENDING");
    assert!(!matches(&pattern, &never));
}
