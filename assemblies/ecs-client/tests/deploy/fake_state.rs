//! The state of the fake: how it answers, and how deployments go on.

use ecs_client::{Call, Error, Operation};
use serde_json::{Value, json};

use super::{Deployment, START, State, TASK, refusal};

impl State {
    pub(crate) fn running(&self) -> &str {
        self.service["taskDefinition"].as_str().unwrap()
    }

    pub(crate) fn register(&mut self, request: &Value) -> Value {
        let number = self.revisions.len() + 1;
        let mut revision = request.clone();
        revision["taskDefinitionArn"] = format!("{START}:task-definition/web:{number}").into();
        revision["revision"] = number.into();
        revision["status"] = "ACTIVE".into();
        revision["registeredAt"] = 1.5.into();
        self.revisions.push(revision.clone());
        json!({ "taskDefinition": revision })
    }

    pub(super) fn revision(&self, name: &str) -> Option<&Value> {
        if name == "web" {
            return self.revisions.last();
        }
        let end = format!(":task-definition/{}", name.rsplit('/').next().unwrap());
        let arn = |revision: &&Value| {
            revision["taskDefinitionArn"]
                .as_str()
                .unwrap()
                .ends_with(&end)
        };
        self.revisions.iter().find(arn)
    }

    /// Begins a deployment, as UpdateService does.
    pub(crate) fn begin(&mut self, revision: &str) {
        for deployment in &mut self.deployments {
            if deployment.status == "IN_PROGRESS" {
                deployment.status = "STOPPED";
            }
        }
        self.begun += 1;
        let number = self.begun;
        let source = self.service["taskDefinition"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.service["taskDefinition"] = revision.into();
        self.deployments.push(Deployment {
            arn: format!("{START}:service-deployment/main/web/{number}"),
            revision: revision.to_owned(),
            source,
            status: "IN_PROGRESS",
            step: 0,
            failures: 0,
            is_answered: false,
        });
    }

    pub(crate) fn answer(&mut self, call: &Call) -> Result<Value, Error> {
        let (operation, body) = (call.operation, &call.body);
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        Ok(match operation {
            Operation::DescribeServices => json!({ "services": [self.describe()], "failures": [] }),
            Operation::DescribeTaskDefinition => {
                let found = self.revision(text("taskDefinition")).ok_or_else(|| {
                    let message = "Unable to describe task definition.";
                    refusal(operation, "ClientException", message)
                });
                json!({ "taskDefinition": found?, "tags": [] })
            }
            Operation::RegisterTaskDefinition => self.register(body),
            Operation::UpdateService => {
                if body["taskDefinition"].is_string() {
                    self.begin(text("taskDefinition"));
                }
                if body["desiredCount"].is_u64() {
                    self.service["desiredCount"] = body["desiredCount"].clone();
                }
                json!({ "service": self.describe() })
            }
            Operation::ListServiceDeployments => {
                let number = |at: usize| u32::try_from(at).unwrap();
                let list = self.deployments.iter().enumerate().map(|(at, it)| {
                    json!({ "serviceDeploymentArn": it.arn, "status": it.status,
                        "targetServiceRevisionArn": format!("revision of {}", it.revision),
                        "createdAt": f64::from(number(at)) })
                });
                json!({ "serviceDeployments": list.rev().collect::<Vec<_>>() })
            }
            Operation::DescribeServiceRevisions => {
                let arns = body["serviceRevisionArns"].as_array().unwrap().iter();
                let revision = |arn: &Value| {
                    let definition = arn.as_str().unwrap().strip_prefix("revision of ");
                    json!({ "serviceRevisionArn": arn, "taskDefinition": definition })
                };
                json!({ "serviceRevisions": arns.map(revision).collect::<Vec<_>>() })
            }
            Operation::DescribeServiceDeployments => {
                let arn = body["serviceDeploymentArns"][0].as_str().unwrap();
                self.step(arn);
                json!({ "serviceDeployments": [self.describe_deployment(arn)] })
            }
            Operation::ContinueServiceDeployment => self.answer_hook(text("action")),
            Operation::ListTasks => {
                let wanted = |task: &&Value| {
                    (task["lastStatus"] == "STOPPED") == (text("desiredStatus") == "STOPPED")
                };
                let arns = self
                    .tasks
                    .iter()
                    .filter(wanted)
                    .map(|task| task["taskArn"].clone());
                json!({ "taskArns": arns.collect::<Vec<_>>() })
            }
            Operation::DescribeTasks => {
                let names = body["tasks"].as_array().unwrap();
                let is_named = |task: &&Value| {
                    let arn = task["taskArn"].as_str().unwrap();
                    names
                        .iter()
                        .any(|name| arn.ends_with(name.as_str().unwrap()))
                };
                json!({ "tasks": self.tasks.iter().filter(is_named).collect::<Vec<_>>() })
            }
            _ => return Ok(self.answer_beside_services(call)),
        })
    }

    /// Answers calls about logs, sessions and scaling.
    fn answer_beside_services(&mut self, call: &Call) -> Value {
        let body = &call.body;
        match call.operation {
            Operation::DescribeScalableTargets => json!({ "ScalableTargets": self.scaling }),
            Operation::RegisterScalableTarget => {
                self.scaling = json!([body]);
                json!({})
            }
            Operation::FilterLogEvents => self.filter_logs(body),
            Operation::ExecuteCommand => {
                json!({ "session": { "sessionId": "s", "streamUrl": "wss://s", "tokenValue": "secret" } })
            }
            Operation::StartSession => {
                json!({ "SessionId": "s", "StreamUrl": "wss://s", "TokenValue": "secret" })
            }
            Operation::GetLogEvents => {
                json!({ "events": [{ "message": "no such table: users\n" }] })
            }
            other => panic!("{other} is not expected"),
        }
    }

    fn describe(&self) -> Value {
        let mut service = self.service.clone();
        let newest = self.deployments.last().unwrap();
        let state = match newest.status {
            "IN_PROGRESS" => "IN_PROGRESS",
            "STOPPED" => "FAILED",
            _ => "COMPLETED",
        };
        service["deployments"] = json!([{ "id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": state,
            "taskDefinition": service["taskDefinition"], "failedTasks": newest.failures }]);
        // Also if it has ended.
        service["currentServiceDeployment"] = newest.arn.as_str().into();
        service["events"] = self.events.iter().rev().cloned().collect();
        service
    }

    fn step(&mut self, arn: &str) {
        let (pauses, rolls_back) = (self.pauses, self.rolls_back);
        let Some(at) = self.deployments.iter().position(|it| it.arn == arn) else {
            return;
        };
        let revision = self
            .revision(&self.deployments[at].revision)
            .unwrap()
            .to_string();
        let is_bad = revision.contains(":bad\"");
        let deployment = &mut self.deployments[at];
        if deployment.status == "ROLLBACK_IN_PROGRESS" {
            deployment.status = "ROLLBACK_SUCCESSFUL";
            self.service["taskDefinition"] = deployment.source.as_str().into();
            return;
        }
        if deployment.status != "IN_PROGRESS" {
            return;
        }

        deployment.step += 1;
        if is_bad {
            deployment.failures += 1;
            let failures = deployment.failures;
            if failures == 3 {
                deployment.status = if rolls_back {
                    "ROLLBACK_IN_PROGRESS"
                } else {
                    "STOPPED"
                };
            }
            self.stop_task(at, failures);
        } else if deployment.step >= 3 && (!pauses || deployment.is_answered) {
            deployment.status = "SUCCESSFUL";
        }
    }

    fn stop_task(&mut self, deployment: usize, number: usize) {
        let revision = self.deployments[deployment].revision.clone();
        self.tasks.push(json!({
            "taskArn": format!("{START}:task/main/{number:032}"), "taskDefinitionArn": revision,
            "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "containers": [{ "name": "proxy", "exitCode": 143 }, { "name": "app", "exitCode": 3 }],
        }));
        let message = format!("(service web) deployment failed: task {number}");
        self.events
            .push(json!({ "id": format!("e{number}"), "createdAt": 100.0, "message": message }));
    }

    fn describe_deployment(&self, arn: &str) -> Value {
        let deployment = self.deployments.iter().find(|it| it.arn == arn).unwrap();
        let running = deployment.step.min(2);
        let is_waiting = self.pauses && deployment.step >= 2 && !deployment.is_answered;
        let hooks = is_waiting.then(|| {
            json!([{ "hookId": "h1", "targetType": "PAUSE", "status": "AWAITING_ACTION",
                "timeoutAction": "ROLLBACK", "expiresAt": 4_000_000_000_u64 }])
        });
        let breaker = if deployment.failures >= 3 {
            "TRIGGERED"
        } else {
            "MONITORING"
        };
        json!({
            "serviceDeploymentArn": arn, "status": deployment.status, "createdAt": 50.0,
            "lifecycleStage": if deployment.step < 2 { "SCALE_UP" } else { "BAKE_TIME" },
            "targetServiceRevision": { "arn": format!("revision of {}", deployment.revision),
                "requestedTaskCount": 2, "runningTaskCount": running, "pendingTaskCount": 2 - running },
            "sourceServiceRevisions": [{ "requestedTaskCount": 2, "runningTaskCount": 2 - running }],
            "deploymentConfiguration": { "strategy": "ROLLING" },
            "deploymentCircuitBreaker": { "status": breaker, "failureCount": deployment.failures, "threshold": 3 },
            "rollback": { "serviceRevisionArn": format!("revision of {}", deployment.source),
                "reason": (deployment.failures >= 3).then_some("tasks failed to start") },
            "lifecycleHookDetails": hooks,
        })
    }

    fn filter_logs(&self, body: &Value) -> Value {
        let from = body["startTime"].as_u64().unwrap_or_default();
        let is_wanted = |stream: &str| match body["logStreamNamePrefix"].as_str() {
            Some(prefix) => stream.starts_with(prefix),
            None => body["logStreamNames"]
                .as_array()
                .unwrap()
                .iter()
                .any(|name| name == stream),
        };
        let events = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, (time, stream, _))| *time >= from && is_wanted(stream))
            .map(|(id, (time, stream, text))| {
                json!({ "timestamp": time, "eventId": id.to_string(), "logStreamName": stream, "message": text })
            });
        json!({ "events": events.collect::<Vec<_>>() })
    }

    /// Adds a running task, which ECS Exec can reach.
    pub(crate) fn run_task(&mut self) {
        let running = self.running().to_owned();
        let agent = json!([{ "name": "ExecuteCommandAgent", "lastStatus": "RUNNING" }]);
        self.tasks.push(json!({
            "taskArn": TASK, "taskDefinitionArn": running, "lastStatus": "RUNNING", "enableExecuteCommand": true,
            "containers": [
                { "name": "app", "runtimeId": "0123-1", "managedAgents": agent },
                { "name": "proxy", "runtimeId": "0123-2", "managedAgents": agent },
            ],
        }));
    }

    fn answer_hook(&mut self, action: &str) -> Value {
        let deployment = self.deployments.last_mut().unwrap();
        deployment.is_answered = true;
        if action == "ROLLBACK" {
            deployment.status = "ROLLBACK_IN_PROGRESS";
        }
        json!({ "serviceDeploymentArn": deployment.arn })
    }
}
