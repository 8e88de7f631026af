//! The defaults of a `deploymentConfiguration`.

use serde_json::{Value, json};

/// Returns a configuration with the values that DescribeServices adds to it.
pub(crate) fn with_defaults(value: &Value) -> Value {
    let mut all = value.as_object().cloned().unwrap_or_default();
    // A null is the same as no value.
    all.retain(|_, value| !value.is_null());
    let defaults = [
        ("maximumPercent", json!(200)),
        ("minimumHealthyPercent", json!(100)),
        ("strategy", json!("ROLLING")),
        (
            "deploymentCircuitBreaker",
            json!({ "enable": false, "rollback": false }),
        ),
    ];

    for (name, default) in defaults {
        all.entry(name).or_insert(default);
    }

    let strategy = all["strategy"].as_str().unwrap_or_default().to_owned();
    // Only deployments that shift traffic bake by default.
    if strategy != "ROLLING" {
        all.entry("bakeTimeInMinutes").or_insert(json!(0));
    }

    let breaker = [
        ("resetOnHealthyTask", json!(true)),
        (
            "thresholdConfiguration",
            json!({ "type": "BOUNDED_PERCENT", "value": 50 }),
        ),
    ];

    add(all.get_mut("deploymentCircuitBreaker"), &breaker);
    let steps = match strategy.as_str() {
        "LINEAR" => Some((
            "linearConfiguration",
            [
                ("stepPercent", json!(10.0)),
                ("stepBakeTimeInMinutes", json!(6)),
            ],
        )),
        "CANARY" => Some((
            "canaryConfiguration",
            [
                ("canaryPercent", json!(5.0)),
                ("canaryBakeTimeInMinutes", json!(10)),
            ],
        )),
        _ => None,
    };

    if let Some((name, fields)) = steps {
        all.entry(name).or_insert(json!({}));
        add(all.get_mut(name), &fields);
    }

    Value::Object(all)
}

fn add(object: Option<&mut Value>, fields: &[(&str, Value)]) {
    let Some(object) = object.and_then(Value::as_object_mut) else {
        return;
    };
    for (name, value) in fields {
        object.entry(*name).or_insert_with(|| value.clone());
    }
}
