//! Pattern matching and input transformation, as EventBridge's documentation describes them.

use serde_json::{Map, Value, json};

use super::event::{Object, matches};
use super::*;

/// Fills a template and parses the result.
fn transform(template: &str, paths: &BTreeMap<&str, &str>, event: &Value) -> Value {
    serde_json::from_str(&event::render_template(template, paths, event)).expect("JSON")
}

fn object_created(bucket: &str, key: &str, size: u64) -> Value {
    let object = Object {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        size,
        etag: "b1946ac92492d2347c6235b4d2611184".to_owned(),
        sequencer: "00617F08299329D189".to_owned(),
    };
    let id = "17793124-05d4-b198-2fde-7ededc63b103";
    event::object_created(&object, id, "111122223333", "eu-central-1")
}

fn on_demand(prefix: Option<&str>, suffix: Option<&str>) -> OnDemand {
    let mut fields = Map::new();
    fields.insert("bucket".to_owned(), json!("videos"));
    fields.insert("prefix".to_owned(), json!(prefix));
    fields.insert("suffix".to_owned(), json!(suffix));
    serde_json::from_value(Value::Object(fields)).expect("a trigger")
}

#[test]
fn matches_keys_with_prefix_and_suffix_whatever_characters_they_contain() {
    let pattern = pattern(&on_demand(Some("video/"), Some(".mp4")));
    for key in [
        "video/a.mp4",
        "video/a b+ü.mp4",
        "video/2026/%20.mp4",
        "video/.mp4",
    ] {
        assert!(
            matches(&pattern, &object_created("videos", key, 1)),
            "{key}"
        );
    }

    for key in [
        "Video/a.mp4",
        "video/a.mov",
        "my/video/a.mp4",
        "video/a.mp4.jpg",
        "video/",
    ] {
        assert!(
            !matches(&pattern, &object_created("videos", key, 1)),
            "{key}"
        );
    }

    // Another bucket, and an empty object, which is usually a folder marker.
    assert!(!matches(
        &pattern,
        &object_created("others", "video/a.mp4", 1)
    ));
    assert!(!matches(
        &pattern,
        &object_created("videos", "video/a.mp4", 0)
    ));
}

#[test]
fn a_star_in_a_prefix_is_literal() {
    let pattern = pattern(&on_demand(Some("in*\\/"), Some(".mp4")));
    assert!(matches(
        &pattern,
        &object_created("videos", "in*\\/a.mp4", 1)
    ));
    assert!(!matches(
        &pattern,
        &object_created("videos", "inner\\/a.mp4", 1)
    ));
}

#[test]
fn a_wildcard_finds_a_match_if_there_is_one() {
    let test = |pattern: &str, key: &str| {
        let pattern = json!({ "detail": { "object": { "key": [{ "wildcard": pattern }] } } });
        matches(&pattern, &object_created("videos", key, 1))
    };

    for (pattern, key) in [
        ("*", ""),
        ("a*", "a"),
        ("a*a", "aa"),
        ("*b*b*", "abcb"),
        ("a*b*c", "axbxbxc"),
        ("é*", "éa"),
    ] {
        assert!(test(pattern, key), "{pattern} {key}");
    }

    for (pattern, key) in [
        ("", "a"),
        ("a*a", "a"),
        ("*b*b*", "abc"),
        ("a*b*c", "axcxb"),
        ("a\\*", "ab"),
    ] {
        assert!(!test(pattern, key), "{pattern} {key}");
    }

    // Backtracking would take exponential time with this pattern.
    let (pattern, key) = (format!("{}c", "a*".repeat(200)), "ab".repeat(2000));
    assert!(!test(&pattern, &key));
}

#[test]
fn does_not_replace_fields_within_a_key() {
    let variables = [
        variable("INPUT", "s3://{bucket}/{key}"),
        variable("KEY", "{key}"),
    ];
    let event = object_created("videos", "<bucket>/<key>", 7);
    let made = transform(
        &overrides_template("app", &variables),
        &paths(&variables),
        &event,
    );
    let environment = &made["containerOverrides"][0]["environment"];

    assert_eq!(environment[0]["value"], "s3://videos/<bucket>/<key>");
    assert_eq!(environment[1]["value"], "<bucket>/<key>");
}

#[test]
fn prefix_and_suffix_are_optional() {
    for (prefix, suffix) in [(Some("v/"), None), (None, Some(".mp4")), (None, None)] {
        let pattern = pattern(&on_demand(prefix, suffix));
        assert!(matches(&pattern, &object_created("videos", "v/a.mp4", 1)));
        assert_eq!(
            matches(&pattern, &object_created("videos", "w/a.mov", 1)),
            prefix.is_none() && suffix.is_none()
        );
    }
}

#[test]
fn transforms_an_event_into_container_variables() {
    let variables = [
        variable("INPUT", "s3://{bucket}/{key}"),
        variable("KEY", "{key}"),
        variable("SIZE", "{size}"),
        variable("FIXED", "as \"it\" is"),
    ];

    let event = object_created("videos", "video/a b+ü.mp4", 7);
    let template = overrides_template("app", &variables);
    let overrides = transform(&template, &paths(&variables), &event);
    let environment = json!([
        { "name": "INPUT", "value": "s3://videos/video/a b+ü.mp4" },
        { "name": "KEY", "value": "video/a b+ü.mp4" },
        { "name": "SIZE", "value": "7" },
        { "name": "FIXED", "value": "as \"it\" is" },
    ]);

    let expected = json!({ "containerOverrides": [{ "name": "app", "environment": environment }] });
    assert_eq!(overrides, expected);
    let message = transform(&message_template(&variables), &paths(&variables), &event);
    assert_eq!(message["INPUT"], "s3://videos/video/a b+ü.mp4");
    assert_eq!(message["SIZE"], "7");
}

#[test]
fn the_length_limit_covers_the_longest_event() {
    let variables = [
        variable("INPUT", "s3://{bucket}/{key}"),
        variable("ID", "{event}"),
    ];
    // The longest bucket name and key that S3 allows.
    let event = object_created(&"b".repeat(63), &"k".repeat(1024), 7);
    let template = overrides_template("app", &variables);
    let overrides = transform(&template, &paths(&variables), &event).to_string();
    assert!(overrides.len() <= max_overrides_chars("app", &variables));
}

#[test]
fn reports_a_failed_app_but_not_a_failed_sidecar() {
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

    // 143 is 128 + SIGTERM: the app was stopped before its work was done.
    assert!(matches(&pattern, &ended(json!(143), json!(0), "shop")));
    assert!(!matches(&pattern, &ended(json!(0), json!(137), "shop")));
    assert!(!matches(&pattern, &ended(json!(1), json!(0), "others")));

    // A task that never started has no exit codes; only its stop code says that it failed.
    let mut never_started = ended(Value::Null, Value::Null, "shop");
    assert!(!matches(&pattern, &never_started));
    never_started["detail"]["stopCode"] = json!("TaskFailedToStart");
    assert!(matches(&pattern, &never_started));
    never_started["detail"]["lastStatus"] = json!("PENDING");
    assert!(!matches(&pattern, &never_started));
}
