//! Compares a service that runs with what an assembly says about it.

use ecs_client::Scaling;
use serde_json::{Map, Value, json};
use task_definition::Change;

/// Returns the changes from the running service to the wanted one. Only what the assembly says is compared, so that
/// settings of other tools, and the defaults of ECS, are no changes.
pub(super) fn compare(running: &Value, scaling: Scaling, wanted: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    let running = comparable(running, scaling, wanted);
    add("/service", Some(&running), Some(wanted), &mut changes);
    changes
}

/// Returns the running service in the form of the wanted one, with the fields that it has.
fn comparable(running: &Value, scaling: Scaling, wanted: &Value) -> Value {
    let mut service = Map::new();
    let mut set = |name: &str, value: Value| service.insert(name.to_owned(), value);

    let configuration = &running["deploymentConfiguration"];
    set(
        "deploymentConfiguration",
        // The defaults of CreateService for the scheduling strategy REPLICA.
        json!({ "minimumHealthyPercent": configuration["minimumHealthyPercent"].as_u64().unwrap_or(100),
            "maximumPercent": configuration["maximumPercent"].as_u64().unwrap_or(200) }),
    );
    set(
        "enableExecuteCommand",
        (running["enableExecuteCommand"] == true).into(),
    );
    set(
        "scaling",
        match scaling {
            Scaling::Automatic(limits) => json!({ "min": limits.min, "max": limits.max }),
            // Without auto scaling the number of tasks is both limits.
            Scaling::Fixed => {
                json!({ "min": running["desiredCount"], "max": running["desiredCount"] })
            }
        },
    );

    let balancers = running["loadBalancers"].as_array();
    let balancers = balancers.into_iter().flatten().map(|balancer| {
        json!({ "containerName": balancer["containerName"], "containerPort": balancer["containerPort"] })
    });
    set("loadBalancers", balancers.collect());

    if let Some(fields) = wanted["network"].as_object() {
        let vpc = &running["networkConfiguration"]["awsvpcConfiguration"];
        let sorted = |field: &String| {
            let items = vpc[field.as_str()].as_array().into_iter().flatten();
            let mut items: Vec<_> = items.filter_map(Value::as_str).collect();
            items.sort_unstable();
            (field.clone(), json!(items))
        };
        set("network", fields.keys().map(sorted).collect());
    }
    service.into()
}

fn add(pointer: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(was)), Some(Value::Object(is))) = (before, after) {
        for (name, value) in is {
            add(
                &format!("{pointer}/{name}"),
                was.get(name),
                Some(value),
                changes,
            );
        }
        return;
    }
    changes.push(Change {
        pointer: pointer.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    });
}

#[cfg(test)]
mod tests {
    use ecs_client::{ScalableTarget, Scaling};
    use serde_json::json;

    use super::compare;

    #[test]
    fn defaults_and_settings_of_other_tools_are_no_changes() {
        let wanted = json!({
            "deploymentConfiguration": { "minimumHealthyPercent": 100, "maximumPercent": 200 },
            "enableExecuteCommand": false, "scaling": { "min": 1, "max": 10 },
            "loadBalancers": [{ "containerName": "tls", "containerPort": 8443 }],
            "network": { "subnets": ["subnet-1", "subnet-2"] },
        });
        let mut running = json!({
            "serviceName": "web", "propagateTags": "SERVICE", "healthCheckGracePeriodSeconds": 5,
            "loadBalancers": [{ "targetGroupArn": "arn", "containerName": "tls", "containerPort": 8443 }],
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-2", "subnet-1"] } },
        });
        let scaling = Scaling::Automatic(ScalableTarget { min: 1, max: 10 });
        assert_eq!(compare(&running, scaling, &wanted), []);

        running["loadBalancers"][0]["containerPort"] = 8080.into();
        running["desiredCount"] = 1.into();
        let changes = compare(&running, Scaling::Fixed, &wanted);
        let pointers: Vec<_> = changes
            .iter()
            .map(|change| change.pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/service/scaling/max", "/service/loadBalancers"]);
    }
}
