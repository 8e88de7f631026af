//! Application Auto Scaling.

use serde_json::{Value, json};

use super::Emulator;

#[test]
fn scaling_targets_and_policies_are_stored() {
    let mut emulator = Emulator::with_service(json!({}));
    let name = |resource: &str, more: Value| {
        let mut request = json!({
            "ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": "ecs:service:DesiredCount",
        });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };

    let web = "service/default/web";
    let range = json!({ "MinCapacity": 1, "MaxCapacity": 5 });
    let policy = json!({
        "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 75.0,
            "PredefinedMetricSpecification": { "PredefinedMetricType": "ECSServiceAverageCPUUtilization" },
        },
    });

    for (operation, request, code) in [
        (
            "RegisterScalableTarget",
            name("service/default/none", range.clone()),
            "ValidationException",
        ),
        (
            "RegisterScalableTarget",
            name(web, json!({ "MinCapacity": 2, "MaxCapacity": 1 })),
            "ValidationException",
        ),
        (
            "RegisterScalableTarget",
            name("web", range.clone()),
            "ValidationException",
        ),
        (
            "PutScalingPolicy",
            name(web, policy.clone()),
            "ObjectNotFoundException",
        ),
        (
            "DeregisterScalableTarget",
            name(web, json!({})),
            "ObjectNotFoundException",
        ),
    ] {
        assert_eq!(emulator.code(operation, request.clone()), code, "{request}");
    }

    let first = emulator.call("RegisterScalableTarget", name(web, range));
    let second = emulator.call(
        "RegisterScalableTarget",
        name(web, json!({ "MaxCapacity": 9 })),
    );

    assert_eq!(first, second);
    emulator.call("PutScalingPolicy", name(web, policy));
    let ecs = json!({ "ServiceNamespace": "ecs" });
    let targets = emulator.call("DescribeScalableTargets", ecs.clone());
    assert_eq!(targets["ScalableTargets"][0]["MinCapacity"], 1);
    assert_eq!(targets["ScalableTargets"][0]["MaxCapacity"], 9);
    let policies = emulator.call("DescribeScalingPolicies", ecs.clone());
    assert_eq!(policies["ScalingPolicies"][0]["PolicyName"], "cpu");

    emulator.call("DeregisterScalableTarget", name(web, json!({})));
    let policies = emulator.call("DescribeScalingPolicies", ecs);
    assert_eq!(policies["ScalingPolicies"], json!([]));
}
