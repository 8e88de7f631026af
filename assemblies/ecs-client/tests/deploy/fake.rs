//! A fake of ECS with one service, `main/web`.
//!
//! A deployment goes one step on with each DescribeServiceDeployments. Revisions with an image `…:bad` never start: the
//! circuit breaker counts three failures and goes back to the revision before.

use std::sync::Mutex;
use std::time::Duration;

use ecs_client::{
    Api, Call, Change, DeployEvent, DeploymentOutcome, Error, FollowWait, Images, Operation, Plan,
    ServiceName, Update, follow,
};
use serde_json::{Value, json};

pub(crate) const START: &str = "arn:aws:ecs:eu-central-1:210987654321";

pub(crate) const TASK: &str =
    "arn:aws:ecs:eu-central-1:210987654321:task/main/0123456789abcdef0123456789abcdef";

#[derive(Debug)]
pub(crate) struct Fake {
    state: Mutex<State>,
    /// The calls so far.
    pub(crate) calls: Mutex<Vec<Call>>,
    /// What happens to the call with this index.
    pub(crate) fault: Option<(usize, Fault)>,
    /// Whether other tasks may run before each call.
    pub(crate) yields: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The connection is cut before the request arrives.
    CutBefore,
    /// The connection is cut after the request was carried out.
    CutAfter,
    AccessDenied,
    Throttled,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revisions: Vec<Value>,
    pub(crate) service: Value,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) tasks: Vec<Value>,
    pub(crate) events: Vec<Value>,
    /// Whether the circuit breaker goes back.
    pub(crate) rolls_back: bool,
    /// Whether deployments wait for an answer before they end.
    pub(crate) pauses: bool,
    /// The limits of the auto scaling, as DescribeScalableTargets returns them.
    pub(crate) scaling: Value,
    /// The lines of output: time, stream, text.
    pub(crate) lines: Vec<(u64, String, String)>,
    /// The number of deployments so far.
    begun: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) arn: String,
    pub(crate) revision: String,
    source: String,
    pub(crate) status: &'static str,
    step: usize,
    failures: usize,
    is_answered: bool,
}

/// Returns the definition of revision 1, with a field that no type has.
pub(crate) fn definition() -> Value {
    let logs = json!({ "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/web",
        "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } });
    json!({
        "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
        "cpu": "256", "memory": "512", "zNewerThanThisProgram": { "b": 1, "a": [null] },
        "containerDefinitions": [
            { "name": "app", "image": "app:1", "essential": true, "logConfiguration": logs, "newer": 1.50 },
            { "name": "proxy", "image": "proxy:1", "essential": true },
        ],
    })
}

pub(crate) fn name() -> ServiceName {
    "main/web".parse().unwrap()
}

pub(crate) fn images(pairs: &[(&str, &str)]) -> Images {
    let pair = |(name, image): &(&str, &str)| ((*name).to_owned(), (*image).to_owned());
    pairs.iter().map(pair).collect()
}

pub(crate) fn wait() -> FollowWait {
    FollowWait {
        timeout: Duration::from_secs(20),
        interval: Duration::from_millis(1),
    }
}

impl Fake {
    pub(crate) fn new() -> Self {
        let mut state = State {
            revisions: Vec::new(),
            service: json!({ "serviceArn": format!("{START}:service/main/web"), "serviceName": "web",
                "status": "ACTIVE", "desiredCount": 2, "runningCount": 2 }),
            deployments: Vec::new(),
            tasks: Vec::new(),
            events: Vec::new(),
            rolls_back: true,
            pauses: false,
            scaling: json!([]),
            lines: Vec::new(),
            begun: 0,
        };
        let first = state.register(&definition());
        state.begin(
            first["taskDefinition"]["taskDefinitionArn"]
                .as_str()
                .unwrap(),
        );
        state.deployments[0].status = "SUCCESSFUL";
        Self {
            state: Mutex::new(state),
            calls: Mutex::default(),
            fault: None,
            yields: false,
        }
    }

    pub(crate) fn with(change: impl FnOnce(&mut State)) -> Self {
        let fake = Self::new();
        fake.change(change);
        fake
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Returns the requests of an operation.
    pub(crate) fn requests(&self, operation: Operation) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        let found = calls.iter().filter(|call| call.operation == operation);
        found.map(|call| call.body.clone()).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// Returns the images of the revision that the service runs.
    pub(crate) fn images(&self) -> Images {
        self.change(|state| {
            let running = state.running().to_owned();
            let revision = state.revision(&running).unwrap();
            let containers = revision["containerDefinitions"].as_array().unwrap().iter();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            containers
                .map(|container| (text(&container["name"]), text(&container["image"])))
                .collect()
        })
    }

    /// Deploys and waits.
    pub(crate) async fn deploy(&self, change: Change) -> Result<Option<DeploymentOutcome>, Error> {
        self.deploy_with(change, |_| {}).await
    }

    pub(crate) async fn deploy_with(
        &self,
        change: Change,
        mut on_event: impl FnMut(DeployEvent<'_>),
    ) -> Result<Option<DeploymentOutcome>, Error> {
        let plan = Plan::new(self, &name(), change).await?;
        let update = plan
            .apply(self, &name(), Duration::from_millis(1), &mut on_event)
            .await?;
        match update {
            Update::Unchanged { .. } => Ok(None),
            Update::Started(started) => follow(self, &name(), &started, wait(), on_event)
                .await
                .map(Some),
        }
    }
}

impl Api for Fake {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        if self.yields {
            for _ in 0..fastrand::u8(..4) {
                tokio::task::yield_now().await;
            }
        }
        let index = self.count();
        self.calls.lock().unwrap().push(call.clone());
        let fault = self.fault.filter(|(at, _)| *at == index);
        let operation = call.operation;
        let cut = || Error::Unreachable {
            operation,
            detail: "connection closed".to_owned(),
        };

        match fault {
            Some((_, Fault::CutBefore)) => Err(cut()),
            Some((_, Fault::CutAfter)) => {
                let _ = self.change(|state| state.answer(call));
                Err(cut())
            }
            Some((_, Fault::AccessDenied)) => {
                Err(refusal(operation, "AccessDeniedException", "no"))
            }
            Some((_, Fault::Throttled)) => {
                Err(refusal(operation, "ThrottlingException", "Rate exceeded"))
            }
            None => self.change(|state| state.answer(call)),
        }
    }
}

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

    fn revision(&self, name: &str) -> Option<&Value> {
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
            Operation::DescribeTaskDefinition => match self.revision(text("taskDefinition")) {
                Some(revision) => json!({ "taskDefinition": revision, "tags": [] }),
                None => {
                    let message = "Unable to describe task definition.";
                    return Err(refusal(operation, "ClientException", message));
                }
            },
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
        })
    }

    fn describe(&self) -> Value {
        let mut service = self.service.clone();
        let newest = self.deployments.last().unwrap();
        let (state, current) = match newest.status {
            "IN_PROGRESS" => ("IN_PROGRESS", Some(&newest.arn)),
            "STOPPED" => ("FAILED", None),
            _ => ("COMPLETED", None),
        };
        service["deployments"] = json!([{ "id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": state,
            "taskDefinition": service["taskDefinition"], "failedTasks": newest.failures }]);
        if let Some(arn) = current {
            service["currentServiceDeployment"] = arn.as_str().into();
        }
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

pub(crate) fn refusal(operation: Operation, code: &str, message: &str) -> Error {
    Error::Refused {
        operation,
        code: code.to_owned(),
        message: message.to_owned(),
        status: 400,
    }
}
