//! SQS queues and their policies.

use serde_json::{Value, json};

use super::stack::{Stack, attribute, reference};

/// Adds a queue with the longest retention that SQS supports.
pub(super) fn add(stack: &mut Stack, logical: &str, name: &str, why: &str) {
    let properties = json!({
        "QueueName": name,
        "MessageRetentionPeriod": FORTNIGHT,
        "SqsManagedSseEnabled": true,
    });
    stack.resource(logical, "AWS::SQS::Queue", why, properties);
}

/// The longest retention of a message in SQS, in seconds: 14 days.
const FORTNIGHT: u32 = 1_209_600;

/// Adds a queue that moves a message to a dead-letter queue after a number of tries.
pub(super) fn add_with_redrive(
    stack: &mut Stack,
    logical: &str,
    name: &str,
    dead_letter_queue: &str,
    tries: u32,
) {
    // A pipe deletes a message once RunTask has accepted it; until then the message stays invisible.
    let properties = json!({
    "QueueName": name,
    "VisibilityTimeout": 60,
        "MessageRetentionPeriod": FORTNIGHT,
        "SqsManagedSseEnabled": true,
        "RedrivePolicy": {
            "deadLetterTargetArn": attribute(dead_letter_queue, "Arn"),
            "maxReceiveCount": tries,
        },
    });

    let why = "Events wait here until a task can be started for them.";
    stack.resource(logical, "AWS::SQS::Queue", why, properties);
}

/// Adds the policy that allows the given EventBridge rules, and no others, to send messages to a queue.
pub(super) fn allow_rules(stack: &mut Stack, queue: &str, rules: &[&str]) {
    // `aws:SourceArn` excludes rules of other accounts, which use the same service principal.
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
    let why = "EventBridge sends to a queue only if the queue's policy allows the rule.";
    stack.resource(&name, "AWS::SQS::QueuePolicy", why, properties);
}
