//! A fake of CloudFormation with one stack, `web`, whose service is that of the fake of ECS.
//!
//! An operation goes one step on with each look at the stack or its events. The image of a template is its first word
//! with `/web:`; images `…:bad` never start.

#![allow(
    dead_code,
    reason = "the tests of the command line use a part of this module"
)]

use std::sync::Mutex;

use ecs_client::{Api, Call, Error, Operation, Service};
use serde_json::{Map, Value, json};

use super::{Fake, Fault, START, definition, refusal};

pub(crate) const STACK: &str = "arn:aws:cloudformation:eu-central-1:210987654321:stack/web/1";

#[derive(Debug)]
pub(crate) struct StackFake {
    pub(crate) ecs: Fake,
    pub(crate) stack: Mutex<Stack>,
    pub(crate) calls: Mutex<Vec<Call>>,
    /// What happens to the call with this index.
    pub(crate) fault: Option<(usize, Fault)>,
}

#[derive(Debug, Default)]
pub(crate) struct Stack {
    pub(crate) status: Option<String>,
    pub(crate) tags: Value,
    pub(crate) applied: Applied,
    pub(crate) change_sets: Vec<ChangeSet>,
    /// The resource that exists outside of the stack, and fails it.
    pub(crate) existing: Option<(&'static str, &'static str)>,
    /// The revision of the template.
    own_revision: String,
    events: Vec<Value>,
    operation: Option<Running>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Applied {
    pub(crate) template: String,
    pub(crate) parameters: Map<String, Value>,
}

#[derive(Debug, Clone)]
pub(crate) struct ChangeSet {
    pub(crate) name: String,
    kind: String,
    wanted: Applied,
    tags: Value,
    looks: usize,
}

#[derive(Debug, Clone)]
struct Running {
    verb: &'static str,
    wanted: Applied,
    revision: String,
    step: usize,
}

impl ChangeSet {
    /// A change set of another tool.
    pub(crate) fn foreign() -> Self {
        Self {
            name: "by-hand".to_owned(),
            kind: "UPDATE".to_owned(),
            wanted: Applied::default(),
            tags: Value::Null,
            looks: 1,
        }
    }
}

impl StackFake {
    pub(crate) fn new() -> Self {
        Self {
            ecs: Fake::new(),
            stack: Mutex::default(),
            calls: Mutex::default(),
            fault: None,
        }
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Stack) -> T) -> T {
        change(&mut self.stack.lock().unwrap())
    }

    pub(crate) fn status(&self) -> String {
        self.change(|stack| stack.status.clone().unwrap_or_default())
    }

    pub(crate) fn count(&self, operation: Operation) -> usize {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    pub(crate) fn answer(&self, call: &Call) -> Result<Value, Error> {
        self.calls.lock().unwrap().push(call.clone());
        if call.operation.service() != Service::CloudFormation {
            return self.ecs.change(|state| state.answer(call));
        }
        let mut stack = self.stack.lock().unwrap();
        stack.answer(call, &self.ecs)
    }
}

impl Api for StackFake {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        let index = self.calls.lock().unwrap().len();
        let operation = call.operation;
        let cut = || Error::Unreachable {
            operation,
            detail: "connection closed".to_owned(),
        };
        match self.fault.filter(|(at, _)| *at == index) {
            None => return self.answer(call),
            Some((_, Fault::CutAfter)) => {
                let _ = self.answer(call);
                return Err(cut());
            }
            Some(_) => self.calls.lock().unwrap().push(call.clone()),
        }
        match self.fault {
            Some((_, Fault::CutBefore)) => Err(cut()),
            _ => Err(refusal(operation, "AccessDenied", "no")),
        }
    }
}

impl Stack {
    fn answer(&mut self, call: &Call, ecs: &Fake) -> Result<Value, Error> {
        let (operation, body) = (call.operation, &call.body);
        let name = body["ChangeSetName"].as_str().unwrap_or_default();
        if operation == Operation::CreateChangeSet {
            return Ok(self.create_change_set(body));
        }
        if self.status.is_none() {
            let message = "Stack with id web does not exist";
            return Err(refusal(operation, "ValidationError", message));
        }

        Ok(match operation {
            Operation::DescribeStacks => {
                self.go_on(ecs);
                self.describe()
            }
            Operation::DescribeStackEvents => {
                self.go_on(ecs);
                json!({ "StackEvents": self.events.iter().rev().collect::<Vec<_>>() })
            }
            Operation::DescribeStackResources => json!({ "StackResources": [
                { "LogicalResourceId": "Service", "ResourceType": "AWS::ECS::Service", "PhysicalResourceId": "web" },
                { "LogicalResourceId": "LogGroup", "ResourceType": "AWS::Logs::LogGroup",
                  "PhysicalResourceId": "/ecs/web" }] }),
            Operation::ListChangeSets => {
                let summary = |it: &ChangeSet| json!({ "ChangeSetName": it.name, "Status": "CREATE_COMPLETE" });
                json!({ "Summaries": self.change_sets.iter().map(summary).collect::<Vec<_>>() })
            }
            Operation::DescribeChangeSet => self.describe_change_set(name),
            Operation::DeleteChangeSet => {
                self.change_sets.retain(|it| it.name != name);
                json!({})
            }
            Operation::ExecuteChangeSet => {
                let found = self.change_sets.iter().find(|it| it.name == name).cloned();
                self.execute(found.unwrap(), ecs);
                json!({})
            }
            Operation::DeleteStack => {
                // There is nothing to delete yet, so it is gone at once.
                if self.status.as_deref() == Some("REVIEW_IN_PROGRESS") {
                    *self = Self::default();
                } else {
                    self.begin("DELETE", Applied::default(), String::new());
                }
                json!({})
            }
            other => panic!("{other} is not expected"),
        })
    }

    fn describe(&self) -> Value {
        let parameter = |(key, value): (&String, &Value)| json!({ "ParameterKey": key, "ParameterValue": value });
        json!({ "Stacks": [{
            "StackId": STACK, "StackName": "web", "StackStatus": self.status, "Tags": self.tags,
            "Parameters": self.applied.parameters.iter().map(parameter).collect::<Vec<_>>(),
            "Outputs": [{ "OutputKey": "Service", "OutputValue": "web" },
                { "OutputKey": "TaskDefinition", "OutputValue": self.own_revision }],
        }] })
    }

    fn create_change_set(&mut self, body: &Value) -> Value {
        let mut wanted = Applied {
            template: body["TemplateBody"]
                .as_str()
                .unwrap_or(&self.applied.template)
                .to_owned(),
            parameters: Map::new(),
        };
        wanted
            .parameters
            .insert("Cluster".to_owned(), "main".into());
        wanted
            .parameters
            .insert("TaskRevision".to_owned(), "".into());
        for entry in body["Parameters"].as_array().into_iter().flatten() {
            let key = entry["ParameterKey"].as_str().unwrap();
            let is_previous =
                entry["UsePreviousValue"] == true || entry["UsePreviousValue"] == "true";
            let value = if is_previous {
                &self.applied.parameters[key]
            } else {
                &entry["ParameterValue"]
            };
            wanted.parameters.insert(key.to_owned(), value.clone());
        }

        self.change_sets.push(ChangeSet {
            name: body["ChangeSetName"].as_str().unwrap().to_owned(),
            kind: body["ChangeSetType"].as_str().unwrap().to_owned(),
            wanted,
            tags: body["Tags"].clone(),
            looks: 0,
        });
        self.status
            .get_or_insert_with(|| "REVIEW_IN_PROGRESS".to_owned());
        json!({ "Id": "arn", "StackId": STACK })
    }

    fn describe_change_set(&mut self, name: &str) -> Value {
        let applied = self.applied.clone();
        let found = self
            .change_sets
            .iter_mut()
            .find(|it| it.name == name)
            .unwrap();
        // As on AWS, a change set is never complete at once.
        found.looks += 1;
        if found.looks == 1 {
            return json!({ "Status": "CREATE_IN_PROGRESS" });
        }
        if found.wanted == applied {
            return json!({ "Status": "FAILED", "StatusReason": "The submitted information didn't contain changes." });
        }
        let action = if found.kind == "CREATE" {
            "Add"
        } else {
            "Modify"
        };
        let change = |name: &str, kind: &str, replacement: &str| {
            json!({ "Type": "Resource", "ResourceChange": { "Action": action, "LogicalResourceId": name,
                "ResourceType": kind, "Replacement": replacement } })
        };
        json!({ "Status": "CREATE_COMPLETE", "Changes": [
            change("TaskDefinition", "AWS::ECS::TaskDefinition", "True"), change("Service", "AWS::ECS::Service", "False")] })
    }

    fn execute(&mut self, change_set: ChangeSet, ecs: &Fake) {
        // CloudFormation deletes the others too.
        self.change_sets.clear();
        self.tags = change_set.tags;
        let wanted = change_set.wanted;
        let mut revision = wanted.parameters["TaskRevision"]
            .as_str()
            .unwrap()
            .to_owned();
        if wanted.template != self.applied.template {
            let mut registered = definition();
            let image = wanted
                .template
                .split_whitespace()
                .find(|word| word.contains("/web:"));
            registered["containerDefinitions"][0]["image"] =
                image.unwrap().trim_matches('"').into();
            let response = ecs.change(|state| state.register(&registered));
            let arn = response["taskDefinition"]["taskDefinitionArn"]
                .as_str()
                .unwrap();
            arn.clone_into(&mut self.own_revision);
        }
        if revision.is_empty() {
            self.own_revision.clone_into(&mut revision);
        }
        let verb = if change_set.kind == "CREATE" {
            "CREATE"
        } else {
            "UPDATE"
        };
        self.begin(verb, wanted, revision);
    }

    fn begin(&mut self, verb: &'static str, wanted: Applied, revision: String) {
        let step = 0;
        self.operation = Some(Running {
            verb,
            wanted,
            revision,
            step,
        });
        self.set_status(&format!("{verb}_IN_PROGRESS"));
    }

    /// Goes one step on.
    fn go_on(&mut self, ecs: &Fake) {
        let Some(mut running) = self.operation.take() else {
            return;
        };
        running.step += 1;
        let verb = running.verb;
        match (running.step, verb) {
            (1, "DELETE") => self.operation = Some(running),
            (_, "DELETE") => {
                self.set_status("DELETE_COMPLETE");
                self.applied = Applied::default();
            }
            (1, _) => {
                if let Some((name, kind)) = self.existing {
                    self.event(
                        name,
                        kind,
                        "thing",
                        &format!("{verb}_FAILED"),
                        Some("thing already exists"),
                    );
                    self.end_badly(verb);
                    return;
                }
                let kind = "AWS::ECS::TaskDefinition";
                self.event(
                    "TaskDefinition",
                    kind,
                    &running.revision,
                    &format!("{verb}_COMPLETE"),
                    None,
                );
                self.operation = Some(running);
            }
            (2, _) => {
                let arn = format!("{START}:service/main/web");
                self.event(
                    "Service",
                    "AWS::ECS::Service",
                    &arn,
                    &format!("{verb}_IN_PROGRESS"),
                    None,
                );
                ecs.change(|state| {
                    if state.running() != running.revision {
                        state.begin(&running.revision);
                    }
                });
                self.operation = Some(running);
            }
            _ => self.look_at_service(running, ecs),
        }
    }

    fn look_at_service(&mut self, running: Running, ecs: &Fake) {
        let verb = running.verb;
        // The deployment also goes on without looks at it.
        let status = ecs.change(|state| {
            let arn = state.deployments.last().unwrap().arn.clone();
            let body = json!({ "serviceDeploymentArns": [arn] });
            let _ = state.answer(&Call::new(Operation::DescribeServiceDeployments, body));
            state.deployments.last().unwrap().status
        });
        let arn = format!("{START}:service/main/web");
        let kind = "AWS::ECS::Service";
        match status {
            "SUCCESSFUL" => {
                self.event("Service", kind, &arn, &format!("{verb}_COMPLETE"), None);
                self.applied = running.wanted;
                self.set_status(&format!("{verb}_COMPLETE"));
            }
            "ROLLBACK_SUCCESSFUL" => {
                let reason = Some("ECS Deployment Circuit Breaker was triggered");
                self.event("Service", kind, &arn, &format!("{verb}_FAILED"), reason);
                self.end_badly(verb);
            }
            _ => self.operation = Some(running),
        }
    }

    fn end_badly(&mut self, verb: &str) {
        match verb {
            "CREATE" => self.set_status("ROLLBACK_COMPLETE"),
            _ => self.set_status("UPDATE_ROLLBACK_COMPLETE"),
        }
    }

    fn set_status(&mut self, status: &str) {
        self.event("web", "AWS::CloudFormation::Stack", STACK, status, None);
        self.status = Some(status.to_owned());
    }

    fn event(&mut self, name: &str, kind: &str, id: &str, status: &str, reason: Option<&str>) {
        let number = self.events.len();
        self.events.push(json!({ "EventId": format!("event-{number}"), "StackId": STACK, "StackName": "web",
            "LogicalResourceId": name, "ResourceType": kind, "PhysicalResourceId": id, "ResourceStatus": status,
            "ResourceStatusReason": reason }));
    }
}
