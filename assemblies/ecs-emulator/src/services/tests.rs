//! Operations on services, with tasks that the test moves.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::Config;
use crate::api_error::ApiError;
use crate::dispatch::{find_ecs, find_scaling};
use crate::request::Call;
use crate::state::State;
use crate::tasks::TaskStatus;

mod deployments;
mod scaling;
mod tasks;

const GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/6d0ecf831eec9f09";

/// An emulator without processes: its tasks become RUNNING with each step of time.
struct Emulator {
    state: State,
    now: SystemTime,
    runtime: Runtime,
}

impl Emulator {
    /// Creates an emulator with a task definition `web` that has the revisions 1 and 2.
    fn new() -> Self {
        let config = Config::new("/nowhere".into(), "/nowhere/assemble".into());
        let mut emulator = Self {
            state: State::new(&config),
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        };
        // UpdateService needs a second revision.
        for _ in 0..2 {
            emulator.register();
        }
        emulator
    }

    fn register(&mut self) {
        self.register_with(json!({}));
    }

    /// Registers a revision with more fields in its container.
    fn register_with(&mut self, more: Value) {
        let mut definition = json!({
            "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "requiresCompatibilities": ["FARGATE"],
            "containerDefinitions": [
                { "name": "web", "image": "example.com/web:1", "portMappings": [{ "containerPort": 80 }] },
            ],
        });
        let container = definition["containerDefinitions"][0]
            .as_object_mut()
            .unwrap();
        container.extend(more.as_object().unwrap().clone());
        self.call("RegisterTaskDefinition", definition);
    }

    fn try_call(&mut self, name: &str, body: Value) -> Result<Value, ApiError> {
        let operation = find_ecs(name).or_else(|_| find_scaling(name))?;
        let call = Call::parse(body.to_string().as_bytes(), self.now)?;
        operation(&mut self.state, &call)
    }

    fn call(&mut self, name: &str, body: Value) -> Value {
        self.try_call(name, body).unwrap()
    }

    fn code(&mut self, name: &str, body: Value) -> &'static str {
        self.try_call(name, body).unwrap_err().code
    }

    /// Creates the service `web` and lets its tasks run.
    fn with_service(more: Value) -> Self {
        let mut emulator = Self::new();
        emulator.call("CreateService", service(more));
        // Longer than a task without health check needs to count as healthy.
        emulator.pass(60);
        emulator
    }

    /// Lets time pass. Tasks that are to run do; tasks that are to stop have stopped.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            for task in self.state.tasks.by_id.values_mut() {
                // What the runner does, without processes.
                task.status = match task.stop {
                    None => TaskStatus::Running,
                    Some(_) => TaskStatus::Stopped,
                };
            }
            self.state
                .tick_services(&[], self.now, self.runtime.handle());
        }
    }

    fn service(&mut self) -> Value {
        self.call("DescribeServices", json!({ "services": ["web"] }))["services"][0].take()
    }

    fn deployments(&mut self) -> Vec<Value> {
        let list = self.call("ListServiceDeployments", json!({ "service": "web" }));
        list["serviceDeployments"].as_array().unwrap().clone()
    }

    fn last_deployment(&mut self) -> Value {
        let arn = &self.deployments()[0]["serviceDeploymentArn"];
        let arns = json!({ "serviceDeploymentArns": [arn] });
        self.call("DescribeServiceDeployments", arns)["serviceDeployments"][0].take()
    }
}

/// Returns the input of CreateService, with more fields.
fn service(more: Value) -> Value {
    let mut service = json!({
        "serviceName": "web", "taskDefinition": "web:1", "desiredCount": 2, "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    let fields = more.as_object().unwrap().clone();
    service.as_object_mut().unwrap().extend(fields);
    service
}

fn definition(service: &Value) -> &str {
    service["taskDefinition"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
}

fn messages(service: &Value) -> String {
    let events = service["events"].as_array().unwrap();
    let texts = events
        .iter()
        .map(|event| event["message"].as_str().unwrap());
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_new_service_reaches_a_steady_state() {
    let mut emulator =
        Emulator::with_service(json!({ "tags": [{ "key": "team", "value": "shop" }] }));
    let service = emulator.service();
    assert_eq!(
        (&service["runningCount"], &service["status"]),
        (&json!(2), &json!("ACTIVE"))
    );

    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert!(
        messages(&service).starts_with("(service web) has reached a steady state."),
        "{service}"
    );

    assert_eq!(service["tags"], Value::Null, "without include");

    let tags = emulator.call(
        "ListTagsForResource",
        json!({ "resourceArn": service["serviceArn"] }),
    );

    assert_eq!(tags["tags"], json!([{ "key": "team", "value": "shop" }]));
    let listed = emulator.call("ListServices", json!({}));
    assert_eq!(listed["serviceArns"], json!([service["serviceArn"]]));
}

#[test]
fn a_repeated_creation_needs_the_same_token_and_request() {
    let mut emulator = Emulator::new();
    let request = service(json!({ "clientToken": "once" }));
    let first = emulator.call("CreateService", request.clone());
    let again = emulator.call("CreateService", request);
    assert_eq!(
        first["service"]["serviceArn"],
        again["service"]["serviceArn"]
    );

    assert_eq!(emulator.deployments().len(), 1);

    // The same token with another request, and the same service without a token.
    for other in [
        json!({ "clientToken": "once", "desiredCount": 3 }),
        json!({}),
    ] {
        assert_eq!(
            emulator.code("CreateService", service(other)),
            "InvalidParameterException"
        );
    }
}

#[test]
fn updates_of_what_cannot_change_are_refused() {
    let mut emulator = Emulator::with_service(json!({}));
    for (update, code) in [
        (
            json!({ "service": "web", "launchType": "FARGATE" }),
            "InvalidParameterException",
        ),
        (
            json!({ "service": "web", "desiredCount": "3" }),
            "SerializationException",
        ),
        (
            json!({ "service": "web", "taskDefinition": "web:9" }),
            "ClientException",
        ),
        (json!({ "service": "shop" }), "ServiceNotFoundException"),
        (
            json!({ "service": "web", "cluster": "other" }),
            "ClusterNotFoundException",
        ),
        (
            json!({ "service": "web", "deploymentController": { "type": "EXTERNAL" } }),
            "UnsupportedFeatureException",
        ),
    ] {
        assert_eq!(
            emulator.code("UpdateService", update.clone()),
            code,
            "{update}"
        );
    }

    assert_eq!(emulator.deployments().len(), 1);
}

#[test]
fn a_service_is_deleted_once_it_has_no_tasks() {
    let mut emulator = Emulator::with_service(json!({}));
    let request = json!({ "service": "web" });
    assert_eq!(
        emulator.code("DeleteService", request.clone()),
        "InvalidParameterException"
    );

    assert_eq!(
        emulator.code("DeleteCluster", json!({ "cluster": "default" })),
        "ClusterContainsServicesException"
    );

    let forced = json!({ "service": "web", "force": true });
    assert_eq!(
        emulator.call("DeleteService", forced)["service"]["status"],
        "DRAINING"
    );

    assert_eq!(
        emulator.code("CreateService", service(json!({}))),
        "InvalidParameterException"
    );

    // The first second stops the tasks, the second one notices.
    emulator.pass(3);
    assert_eq!(emulator.service()["status"], "INACTIVE");
    assert_eq!(
        emulator.code("UpdateService", request),
        "ServiceNotActiveException"
    );

    assert_eq!(
        emulator.call("CreateService", service(json!({})))["service"]["status"],
        "ACTIVE"
    );
}

#[test]
fn creation_is_refused_with_the_error_of_ecs() {
    let mut emulator = Emulator::new();
    let balancer = json!([{ "targetGroupArn": "a", "containerName": "web", "containerPort": 81 }]);
    for (more, code) in [
        (
            json!({ "deploymentController": { "type": "CODE_DEPLOY" } }),
            "UnsupportedFeatureException",
        ),
        (
            json!({ "launchType": "EC2" }),
            "UnsupportedFeatureException",
        ),
        (json!({ "launchType": null }), "InvalidParameterException"),
        (
            json!({ "schedulingStrategy": "DAEMON" }),
            "InvalidParameterException",
        ),
        (json!({ "taskDefinition": "none" }), "ClientException"),
        (json!({ "serviceName": "a b" }), "InvalidParameterException"),
        (json!({ "desiredCount": null }), "InvalidParameterException"),
        (
            json!({ "networkConfiguration": {} }),
            "InvalidParameterException",
        ),
        (
            json!({ "loadBalancers": balancer }),
            "InvalidParameterException",
        ),
        (
            json!({ "deploymentConfiguration": { "strategy": "LINEAR" } }),
            "InvalidParameterException",
        ),
        (json!({ "cluster": "none" }), "ClusterNotFoundException"),
    ] {
        assert_eq!(
            emulator.code("CreateService", service(more.clone())),
            code,
            "{more}"
        );
    }

    assert!(
        emulator
            .try_call("CreateService", service(json!({ "serviceNme": 1 })))
            .is_err()
    );

    assert_eq!(
        emulator.call("ListServices", json!({}))["serviceArns"],
        json!([])
    );
}

#[test]
fn a_service_without_launch_type_has_the_strategy_of_its_cluster() {
    let mut emulator = Emulator::new();
    let strategy = json!([{ "capacityProvider": "FARGATE_SPOT", "weight": 1 }]);
    emulator.call(
        "PutClusterCapacityProviders",
        json!({
            "cluster": "default", "capacityProviders": ["FARGATE_SPOT"],
            "defaultCapacityProviderStrategy": strategy,
        }),
    );
    let created = emulator.call("CreateService", service(json!({ "launchType": null })));
    let items = &created["service"]["capacityProviderStrategy"];
    assert_eq!(items[0]["capacityProvider"], "FARGATE_SPOT");
    assert_eq!(created["service"]["launchType"], Value::Null);
    let mut tasks = emulator.state.tasks.by_id.values();
    assert!(tasks.all(|task| task.launch.capacity_provider.as_deref() == Some("FARGATE_SPOT")));
}
