//! Queues, and who may put something into them.

use serde_json::{Value, json};

use super::stack::{Stack, attribute, reference};

/// Adds a queue that keeps what nobody takes for as long as a queue can.
pub(super) fn add(stack: &mut Stack, logical: &str, name: &str, why: &str) {
    let properties = json!({
        "QueueName": name,
        "MessageRetentionPeriod": FORTNIGHT,
        "SqsManagedSseEnabled": true,
    });
    stack.resource(logical, "AWS::SQS::Queue", why, properties);
}

/// Seconds; the longest that SQS keeps a message.
const FORTNIGHT: u32 = 1_209_600;

/// A queue that hands over to another what it could not get rid of.
pub(super) fn add_with_redrive(
    stack: &mut Stack,
    logical: &str,
    name: &str,
    dead: &str,
    tries: u32,
) {
    let properties = json!({
        "QueueName": name,
        "VisibilityTimeout": 60,
        "MessageRetentionPeriod": FORTNIGHT,
        "SqsManagedSseEnabled": true,
        "RedrivePolicy": {
            "deadLetterTargetArn": attribute(dead, "Arn"),
            "maxReceiveCount": tries,
        },
    });

    let why = "Events wait here until a task can be started for them.";
    stack.resource(logical, "AWS::SQS::Queue", why, properties);
}

/// Lets rules of EventBridge put messages into a queue, and nobody else through EventBridge.
pub(super) fn open(stack: &mut Stack, queue: &str, rules: &[&str]) {
    let rules: Vec<Value> = rules.iter().map(|rule| attribute(rule, "Arn")).collect();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "RulesOnly",
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": attribute(queue, "Arn"),
            "Condition": { "ArnEquals": { "aws:SourceArn": rules } },
        }],
    });

    let properties = json!({ "Queues": [reference(queue)], "PolicyDocument": policy });
    let name = format!("{queue}Policy");
    let why = "A rule needs the queue's own word that it may send.";
    stack.resource(&name, "AWS::SQS::QueuePolicy", why, properties);
}
