//! Operations on services, with tasks that the test moves.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::Config;
use crate::api_error::ApiError;
use crate::dispatch::{find_ecs, find_scaling};
use crate::request::Call;
use crate::state::State;
use crate::tasks::{Stop, TaskStatus};

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
        emulator.pass(60);
        emulator
    }

    /// Lets time pass. Tasks that are to run do; tasks that are to stop have stopped.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            for task in self.state.tasks.by_id.values_mut() {
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
fn only_changes_of_a_revision_are_deployed() {
    let mut emulator = Emulator::with_service(json!({}));
    let minimum = json!({ "minimumHealthyPercent": 50 });
    for (update, count) in [
        (json!({ "desiredCount": 3 }), 1),
        (json!({ "deploymentConfiguration": minimum }), 1),
        (json!({ "taskDefinition": "web:1" }), 1),
        (json!({ "taskDefinition": "web" }), 2),
        (json!({ "forceNewDeployment": true }), 3),
        (json!({ "platformVersion": "1.4.0" }), 4),
    ] {
        let mut update = update;
        update["service"] = "web".into();
        emulator.call("UpdateService", update.clone());
        assert_eq!(emulator.deployments().len(), count, "{update}");
        emulator.pass(60);
    }

    let service = emulator.service();
    assert_eq!(definition(&service), "web:2");
    assert_eq!(service["runningCount"], 3);
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
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
fn a_rollback_restores_the_settings() {
    let mut emulator = Emulator::with_service(json!({}));
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web:2", "desiredCount": 1 }),
    );

    let arn = emulator.deployments()[0]["serviceDeploymentArn"].clone();
    emulator.call(
        "StopServiceDeployment",
        json!({ "serviceDeploymentArn": arn }),
    );

    emulator.pass(5);

    assert_eq!(emulator.last_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    let service = emulator.service();
    assert_eq!(
        (definition(&service), &service["desiredCount"]),
        ("web:1", &json!(1))
    );

    let again = json!({ "serviceDeploymentArn": arn });
    assert_eq!(
        emulator.code("StopServiceDeployment", again),
        "ConflictException"
    );

    // Another update starts from what the service has, not from what failed.
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "forceNewDeployment": true }),
    );

    assert_eq!(definition(&emulator.service()), "web:1");
}

#[test]
fn a_paused_deployment_is_continued_by_its_hook() {
    let mut emulator = Emulator::with_service(json!({}));
    let hook = json!({ "targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"] });
    emulator.call("UpdateService", json!({
        "service": "web", "taskDefinition": "web:2", "deploymentConfiguration": { "lifecycleHooks": [hook] },
    }));
    emulator.pass(60);
    let paused = emulator.last_deployment();
    assert_eq!(paused["lifecycleStage"], "PRE_SCALE_UP");
    assert_eq!(paused["targetServiceRevision"]["runningTaskCount"], 0);

    let arn = &paused["serviceDeploymentArn"];
    let answer = |hook: &Value| json!({ "serviceDeploymentArn": arn, "hookId": hook });
    let other = json!("other");
    assert_eq!(
        emulator.code("ContinueServiceDeployment", answer(&other)),
        "InvalidParameterException"
    );

    let hook = &paused["lifecycleHookDetails"][0]["hookId"];
    emulator.call("ContinueServiceDeployment", answer(hook));
    emulator.pass(60);
    assert_eq!(emulator.last_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn deployments_are_listed_newest_first_by_status_and_page() {
    let mut emulator = Emulator::with_service(json!({}));
    for _ in 0..2 {
        emulator.call(
            "UpdateService",
            json!({ "service": "web", "forceNewDeployment": true }),
        );
    }

    let list = |more: Value| {
        let mut request = json!({ "service": "web" });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };

    let count = |value: Value| value["serviceDeployments"].as_array().unwrap().len();
    assert_eq!(
        count(emulator.call(
            "ListServiceDeployments",
            list(json!({ "status": ["STOPPED"] }))
        )),
        1
    );

    let created = emulator.deployments()[2]["createdAt"].clone();
    let after = json!({ "createdAt": { "after": created } });
    assert_eq!(
        count(emulator.call("ListServiceDeployments", list(after))),
        2
    );

    let unknown = list(json!({ "status": ["DONE"] }));
    assert_eq!(
        emulator.code("ListServiceDeployments", unknown),
        "InvalidParameterException"
    );

    let first = emulator.call("ListServiceDeployments", list(json!({ "maxResults": 2 })));
    let rest = list(json!({ "maxResults": 2, "nextToken": first["nextToken"] }));
    let rest = emulator.call("ListServiceDeployments", rest);
    assert_eq!(
        (
            count(first),
            rest["serviceDeployments"][0]["status"].as_str()
        ),
        (2, Some("SUCCESSFUL"))
    );
}

#[test]
fn a_revision_is_described_as_it_was_deployed() {
    let mut emulator = Emulator::with_service(json!({}));
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web:2" }),
    );

    let source = emulator.last_deployment()["sourceServiceRevisions"][0]["arn"].clone();
    let request = json!({ "serviceRevisionArns": [source, "arn:aws:ecs:us-east-1:1:service-revision/a/b/1"] });
    let described = emulator.call("DescribeServiceRevisions", request);
    assert_eq!(definition(&described["serviceRevisions"][0]), "web:1");
    assert_eq!(
        described["serviceRevisions"][0]["containerImages"][0]["image"],
        "example.com/web:1"
    );

    assert_eq!(described["failures"][0]["reason"], "MISSING");
}

#[test]
fn tasks_beyond_the_capacity_are_retried() {
    let mut emulator = Emulator::new();
    emulator.state.max_tasks = 1;
    emulator.call("CreateService", service(json!({})));
    emulator.pass(3);
    assert!(messages(&emulator.service()).contains("unable to place a task"));
    emulator.state.max_tasks = 2;
    emulator.pass(120);
    assert_eq!(emulator.service()["runningCount"], 2);
}

#[test]
fn a_task_that_a_user_stops_is_replaced() {
    let mut emulator = Emulator::with_service(json!({ "enableECSManagedTags": true }));
    let id = emulator.state.tasks.by_id.keys().next().unwrap().clone();
    let tags = &emulator.state.tasks.by_id[&id].launch.tags;
    assert!(
        tags.iter()
            .any(|tag| (tag.key.as_str(), tag.value.as_str()) == ("aws:ecs:serviceName", "web"))
    );

    let stop = Stop {
        code: "UserInitiated".into(),
        reason: "mine".into(),
    };

    emulator.state.request_stop(&id, stop, emulator.now);
    emulator.pass(60);
    assert_eq!(emulator.service()["runningCount"], 2);
    assert_eq!(emulator.state.tasks.by_id.len(), 3);
}

#[test]
fn protected_tasks_are_not_scaled_in() {
    let mut emulator = Emulator::with_service(json!({}));
    let first = emulator
        .state
        .tasks
        .by_id
        .values_mut()
        .min_by_key(|task| task.number)
        .unwrap();
    first.protected_until = Some(emulator.now + Duration::from_secs(3600));
    let id = first.id.clone();
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "desiredCount": 0 }),
    );

    emulator.pass(5);
    assert!(emulator.state.tasks.by_id[&id].is_wanted());
    assert_eq!(emulator.service()["runningCount"], 1);

    emulator.pass(3600);
    assert_eq!(emulator.service()["runningCount"], 0);
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
fn scaling_targets_and_policies_are_stored() {
    let mut emulator = Emulator::with_service(json!({}));
    let name = |resource: &str, more: Value| {
        let mut request = json!({
            "ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": "ecs:service:DesiredCount",
        });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };

    let web = "service/default/web";
    let range = json!({ "MinCapacity": 1, "MaxCapacity": 5 });
    let policy = json!({
        "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 75.0,
            "PredefinedMetricSpecification": { "PredefinedMetricType": "ECSServiceAverageCPUUtilization" },
        },
    });

    for (operation, request, code) in [
        (
            "RegisterScalableTarget",
            name("service/default/none", range.clone()),
            "ValidationException",
        ),
        (
            "RegisterScalableTarget",
            name(web, json!({ "MinCapacity": 2, "MaxCapacity": 1 })),
            "ValidationException",
        ),
        (
            "RegisterScalableTarget",
            name("web", range.clone()),
            "ValidationException",
        ),
        (
            "PutScalingPolicy",
            name(web, policy.clone()),
            "ObjectNotFoundException",
        ),
        (
            "DeregisterScalableTarget",
            name(web, json!({})),
            "ObjectNotFoundException",
        ),
    ] {
        assert_eq!(emulator.code(operation, request.clone()), code, "{request}");
    }

    let first = emulator.call("RegisterScalableTarget", name(web, range));
    let second = emulator.call(
        "RegisterScalableTarget",
        name(web, json!({ "MaxCapacity": 9 })),
    );

    assert_eq!(first, second);
    emulator.call("PutScalingPolicy", name(web, policy));
    let ecs = json!({ "ServiceNamespace": "ecs" });
    let targets = emulator.call("DescribeScalableTargets", ecs.clone());
    assert_eq!(targets["ScalableTargets"][0]["MinCapacity"], 1);
    assert_eq!(targets["ScalableTargets"][0]["MaxCapacity"], 9);
    let policies = emulator.call("DescribeScalingPolicies", ecs.clone());
    assert_eq!(policies["ScalingPolicies"][0]["PolicyName"], "cpu");

    emulator.call("DeregisterScalableTarget", name(web, json!({})));
    let policies = emulator.call("DescribeScalingPolicies", ecs);
    assert_eq!(policies["ScalingPolicies"], json!([]));
}

#[test]
fn a_revision_that_fails_its_health_checks_is_rolled_back() {
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    let mut emulator = Emulator::with_service(json!({ "deploymentConfiguration": breaker }));
    emulator.register_with(json!({ "healthCheck": { "command": ["CMD-SHELL", "exit 1"] } }));
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web" }),
    );
    for _ in 0..60 {
        emulator.pass(1);
        for task in emulator.state.tasks.by_id.values_mut() {
            if task.launch.revision == 3 {
                task.health = "UNHEALTHY".to_owned();
            }
        }
    }

    assert_eq!(emulator.last_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    let service = emulator.service();
    assert_eq!(
        (definition(&service), &service["runningCount"]),
        ("web:1", &json!(2))
    );
    assert!(
        messages(&service).contains("failed container health checks."),
        "{service}"
    );
    let stopped = emulator
        .state
        .tasks
        .by_id
        .values()
        .filter_map(|task| task.stop.as_ref());
    assert!(
        stopped
            .clone()
            .any(|stop| stop.reason == "Task failed container health checks")
    );
    assert!(
        stopped
            .clone()
            .all(|stop| stop.code == "ServiceSchedulerInitiated")
    );
}

#[test]
fn a_task_whose_port_is_never_published_is_unhealthy() {
    let balancer =
        json!([{ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 80 }]);
    let mut emulator = Emulator::with_service(json!({ "loadBalancers": balancer }));
    let service = emulator.service();
    assert_eq!(service["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert!(
        messages(&service).contains("is unhealthy in (target-group arn:"),
        "{service}"
    );
    assert!(
        messages(&service).contains("listens on 127.0.0.1:"),
        "{service}"
    );
}

#[test]
fn a_huge_service_starts_in_portions() {
    let mut emulator = Emulator::new();
    emulator.state.max_tasks = 2000;
    assert_eq!(
        emulator.code("CreateService", service(json!({ "desiredCount": 5001 }))),
        "InvalidParameterException"
    );
    emulator.call("CreateService", service(json!({ "desiredCount": 120 })));
    assert_eq!(emulator.state.tasks.by_id.len(), 50);
    emulator.pass(60);
    assert_eq!(emulator.service()["runningCount"], 120);
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
