//! The buckets of the trigger: created by the stack, or existing ones.

use serde_json::{Value, json};

use super::stack::{Stack, reference, substitute};
use crate::manifest::OnDemand;

/// Adds the buckets of a trigger; parameters say which of them exist already.
pub(super) fn add(stack: &mut Stack, on_demand: &OnDemand) {
    let notifies = json!({ "EventBridgeConfiguration": { "EventBridgeEnabled": true } });
    let bucket = &on_demand.bucket;
    let why = "Sends an event to EventBridge for every new object. For an existing bucket, run the command in the \
    output NotificationCommand.";

    add_bucket(stack, "Bucket", bucket, why, Some(notifies));
    // CloudFormation cannot change a bucket outside of the stack, so the user runs a command.
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
        "Makes an existing bucket send events to EventBridge. It replaces the bucket's other notifications; \
        list them first with get-bucket-notification-configuration.",
        &json!(command),
    );

    if let Some(output) = on_demand
        .output_bucket
        .as_ref()
        .filter(|output| *output != bucket)
    {
        add_bucket(stack, "OutputBucket", output, "For the results.", None);
    }
}

fn add_bucket(stack: &mut Stack, id: &str, name: &str, why: &str, notifies: Option<Value>) {
    let (parameter, condition) = (format!("Make{id}"), format!("Makes{id}"));
    stack.parameter(
        &parameter,
        &format!("Whether to create the bucket {name}; no if it exists already."),
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

    // The default of new buckets since April 2023, written out in the template.
    properties["PublicAccessBlockConfiguration"] = json!({
        "BlockPublicAcls": true,
        "BlockPublicPolicy": true,
        "IgnorePublicAcls": true,
        "RestrictPublicBuckets": true,
    });

    stack.resource(id, "AWS::S3::Bucket", why, properties);
    // The bucket survives the stack, since it holds the users' objects; a failed creation leaves none behind.
    stack.attribute(id, "UpdateReplacePolicy", json!("Retain"));
    stack.attribute(id, "DeletionPolicy", json!("RetainExceptOnCreate"));
    stack.attribute(id, "Condition", json!(condition));
}

/// Returns the ARN of the cluster.
pub(super) fn cluster() -> Value {
    substitute("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:cluster/${Cluster}")
}
