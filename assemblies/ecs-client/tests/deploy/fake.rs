//! A fake of ECS with one service, `main/web`.
//!
//! A deployment goes one step on with each DescribeServiceDeployments. Revisions with an image `…:bad` never start: the
//! circuit breaker counts three failures and goes back to the revision before.

#![allow(
    dead_code,
    reason = "the tests of the command line use a part of this module"
)]

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::time::Duration;

use ecs_client::{
    Api, Call, Change, DeployEvent, DeploymentOutcome, Error, FollowWait, Images, Operation, Plan,
    ServiceName, Update, follow,
};
use serde_json::{Value, json};

#[path = "stack_fake.rs"]
pub(crate) mod stack;
#[path = "fake_state.rs"]
mod state;

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
        "cpu": "256", "memory": "512", "executionRoleArn": "arn:aws:iam::210987654321:role/execution",
        "zNewerThanThisProgram": { "b": 1, "a": [null] },
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
            // Each `RandomState` has other keys.
            for _ in 0..RandomState::new().hash_one(0) % 4 {
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

pub(crate) fn refusal(operation: Operation, code: &str, message: &str) -> Error {
    Error::Refused {
        operation,
        code: code.to_owned(),
        message: message.to_owned(),
        status: 400,
    }
}
