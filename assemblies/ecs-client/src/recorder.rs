//! Records API calls: of a dry run, which sends nothing, and of tests.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// Records the calls, and passes them on.
#[derive(Debug)]
pub struct Recorder<A> {
    api: A,
    calls: Mutex<Vec<Call>>,
}

/// Sends nothing, and responds as AWS does when all goes well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

impl<A> Recorder<A> {
    /// Creates a recorder in front of another sender.
    pub fn new(api: A) -> Self {
        Self {
            api,
            calls: Mutex::default(),
        }
    }

    /// Returns the calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<A: Api + Sync> Api for Recorder<A> {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call.clone());
        self.api.call(call).await
    }
}

impl Api for Offline {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        let body = &call.body;
        Ok(match call.operation {
            // As for a family that was never registered.
            Operation::DescribeTaskDefinition => {
                return Err(Error::Refused {
                    operation: call.operation,
                    code: "ClientException".to_owned(),
                    message: "Unable to describe task definition.".to_owned(),
                    status: 400,
                });
            }
            Operation::RegisterTaskDefinition => json!({ "taskDefinition": {
                "taskDefinitionArn": "dry-run", "family": body["family"], "revision": 0,
            }}),
            Operation::RunTask => {
                let count = body["count"].as_u64().unwrap_or(1);
                let task = |number| {
                    json!({ "taskArn": format!("dry-run-{number}"),
                    "taskDefinitionArn": body["taskDefinition"], "lastStatus": "PROVISIONING" })
                };
                json!({ "tasks": (1..=count).map(task).collect::<Vec<_>>(), "failures": [] })
            }
            Operation::DescribeTasks => {
                let tasks = body["tasks"].as_array().cloned().unwrap_or_default();
                let task = |arn: &Value| {
                    json!({ "taskArn": arn, "lastStatus": "STOPPED",
                    "containers": [{ "name": "app", "exitCode": 0 }] })
                };
                json!({ "tasks": tasks.iter().map(task).collect::<Vec<_>>(), "failures": [] })
            }
            Operation::StopTask => json!({ "task": { "taskArn": body["task"] } }),
            // The account is unknown without a call, and every list is empty.
            _ => json!({}),
        })
    }
}
