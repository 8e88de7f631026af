//! Buckets: made by the stack, or there already.

use serde_json::{Value, json};

use super::stack::{Stack, filled, reference};
use crate::manifest::OnDemand;

/// Adds the buckets of a trigger, each of which may be there already.
pub(super) fn add(stack: &mut Stack, on_demand: &OnDemand) {
    let notifies = json!({ "EventBridgeConfiguration": { "EventBridgeEnabled": true } });
    let bucket = &on_demand.bucket;
    let why = "Tells EventBridge of every new object. A bucket that is there already must be told to do so by hand; \
               see the output NotificationCommand.";

    add_bucket(stack, "Bucket", bucket, why, Some(notifies));
    let command = format!(
        "aws s3api put-bucket-notification-configuration --bucket {bucket} --notification-configuration \
         '{{\"EventBridgeConfiguration\":{{}}}}'"
    );

    stack.condition(
        "HasBucket",
        json!({ "Fn::Equals": [reference("MakeBucket"), "no"] }),
    );
    stack.output_if(
        "HasBucket",
        "NotificationCommand",
        "Makes the bucket that is there tell EventBridge. It replaces what else the bucket notifies; \
         get-bucket-notification-configuration says what that is.",
        &json!(command),
    );

    if let Some(output) = on_demand
        .output_bucket
        .as_ref()
        .filter(|one| *one != bucket)
    {
        add_bucket(stack, "OutputBucket", output, "For the results.", None);
    }
}

fn add_bucket(stack: &mut Stack, logical: &str, name: &str, why: &str, notifies: Option<Value>) {
    let (parameter, condition) = (format!("Make{logical}"), format!("Makes{logical}"));
    stack.parameter(
        &parameter,
        &format!("Whether to make the bucket {name}; no where it is there already."),
        json!({ "Type": "String", "Default": "yes", "AllowedValues": ["yes", "no"] }),
    );
    stack.condition(
        &condition,
        json!({ "Fn::Equals": [reference(&parameter), "yes"] }),
    );

    let mut properties = json!({ "BucketName": name });
    if let Some(notifies) = notifies {
        properties["NotificationConfiguration"] = notifies;
    }

    properties["PublicAccessBlockConfiguration"] = json!({
        "BlockPublicAcls": true,
        "BlockPublicPolicy": true,
        "IgnorePublicAcls": true,
        "RestrictPublicBuckets": true,
    });

    stack.resource(logical, "AWS::S3::Bucket", why, properties);
    stack.attribute(logical, "UpdateReplacePolicy", json!("Retain"));
    stack.attribute(logical, "DeletionPolicy", json!("RetainExceptOnCreate"));
    stack.attribute(logical, "Condition", json!(condition));
}

/// The ARN of the cluster.
pub(super) fn cluster() -> Value {
    filled("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:cluster/${Cluster}")
}
