//! The settings of a service: the input of CreateService, with all updates.

use std::sync::Arc;

use diagnostics::Severity;
use diagnostics::source::{Node, Source};
use serde_json::{Map, Value, json};
use task_definition::{CapacityProviderItem, Service as Input, Tag, TaskDefinition, read_record};

use crate::api_error::ApiError;
use crate::arn::{Owner, is_name};
use crate::deployment::{DeploymentConfig, Strategy, with_defaults};
use crate::request::to_error;
use crate::state::State;
use crate::task_definitions;

/// Checked settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Without the cluster, tags and the client token.
    pub(super) fields: Map<String, Value>,
    pub(super) input: Arc<Input>,
    pub(super) config: DeploymentConfig,
}

/// The task definition of a service.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) definition: Arc<TaskDefinition>,
    pub(super) number: u32,
    pub(super) tags: Vec<Tag>,
    pub(super) arn: String,
}

impl Settings {
    /// Reads and checks settings: first the features, then the types, then the rules of `ecs-rules`.
    pub(super) fn new(mut fields: Map<String, Value>) -> Result<Self, ApiError> {
        // They belong to the service or the call.
        for name in ["cluster", "tags", "clientToken"] {
            fields.remove(name);
        }

        check_supported(&fields)?;

        let value = Value::Object(fields.clone());
        let (source, node) = (Source::new("the service", ""), Node::from_json(&value));
        let read = read_record::<Input>(&source, &node, "the service", &[]);
        let input = read.map_err(|findings| to_error(&findings))?;
        check_name(&input.service_name)?;
        check_count(input.desired_count)?;

        let config = &with_defaults(
            fields
                .get("deploymentConfiguration")
                .unwrap_or(&Value::Null),
        );

        let config = DeploymentConfig::parse(config).map_err(ApiError::invalid_parameter)?;
        check_rules(&value)?;
        check_traffic(&input, &config)?;

        Ok(Self {
            fields,
            input: Arc::new(input),
            config,
        })
    }

    /// Returns a field, or null.
    pub(super) fn get(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }

    /// Returns the desired number of tasks.
    pub(super) fn desired_count(&self) -> u32 {
        self.input.desired_count.unwrap_or(0)
    }

    /// Finds the task definition, and checks what it must have.
    pub(super) fn find_definition(&self, state: &State) -> Result<Definition, ApiError> {
        let text = self
            .input
            .task_definition
            .as_deref()
            .filter(|text| !text.is_empty());
        let Some(text) = text else {
            return Err(ApiError::invalid_parameter(
                "TaskDefinition can not be blank.",
            ));
        };

        let revision = state.definitions.find(text, &state.owner)?;
        let revision = revision.ok_or_else(|| ApiError::client("TaskDefinition not found."))?;
        // ECS starts no new deployment of an INACTIVE revision.
        if revision.status != task_definitions::Status::Active {
            return Err(ApiError::client("TaskDefinition is inactive"));
        }

        let definition = Definition {
            definition: Arc::clone(&revision.definition),
            number: revision.number,
            tags: revision.tags.clone(),
            arn: revision.arn(&state.owner),
        };

        self.check_definition(&definition.definition)?;

        Ok(definition)
    }

    fn check_definition(&self, definition: &TaskDefinition) -> Result<(), ApiError> {
        if !task_definitions::compatibilities(definition).contains(&"FARGATE") {
            let message = "Task definition does not support launch_type FARGATE.";
            return Err(ApiError::invalid_parameter(message));
        }

        let network = self.input.network_configuration.as_ref();
        let network = network.and_then(|network| network.awsvpc_configuration.as_ref());
        if network.is_none_or(|network| network.subnets.is_empty()) {
            let message =
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
            return Err(ApiError::invalid_parameter(message));
        }

        for balancer in &self.input.load_balancers {
            let (Some(name), Some(port)) = (&balancer.container_name, balancer.container_port)
            else {
                let message = "A load balancer needs a containerName and a containerPort.";
                return Err(ApiError::invalid_parameter(message));
            };
            let container = definition.container(name).ok_or_else(|| {
                let message =
                    format!("The container {name} does not exist in the task definition.");
                ApiError::invalid_parameter(message)
            })?;
            let mappings = &container.port_mappings;
            if !mappings
                .iter()
                .any(|mapping| mapping.container_port == Some(port))
            {
                let message =
                    format!("The container {name} did not have a container port {port} defined.");
                return Err(ApiError::invalid_parameter(message));
            }
        }

        Ok(())
    }

    /// Returns the name of the capacity provider of the task with this number, or `None` with a launch type.
    pub(super) fn capacity_provider(&self, task: u64) -> Option<String> {
        let items = &self.input.capacity_provider_strategy;
        // By weight only: a base is a minimum, and every task runs on this host anyway.
        let weights: Vec<u64> = items.iter().map(weight).collect();
        let total: u64 = weights.iter().sum();
        let mut place = task.checked_rem(total)?;
        for (item, weight) in items.iter().zip(weights) {
            if place < weight {
                return Some(item.capacity_provider.clone());
            }
            place -= weight;
        }
        None
    }

    /// Returns the fields that a service revision has: a change of one of them needs a deployment.
    pub(super) fn revision_fields(&self) -> Map<String, Value> {
        let own = |name: &&&str| self.fields.contains_key(**name);
        let names = REVISION_FIELDS.iter().filter(own);
        names
            .map(|name| ((*name).to_owned(), self.fields[*name].clone()))
            .collect()
    }

    /// Takes over what a service revision has, when a deployment is rolled back to it.
    pub(super) fn restore(&mut self, revision: &Self) {
        let mut fields = self.fields.clone();
        for name in REVISION_FIELDS.into_iter().chain(["taskDefinition"]) {
            match revision.fields.get(name) {
                Some(value) => fields.insert(name.to_owned(), value.clone()),
                None => fields.remove(name),
            };
        }
        // Both were checked, and so is what they have together; if not, the newer settings stay.
        if let Ok(restored) = Self::new(fields) {
            *self = restored;
        }
    }

    /// Returns the network configuration with the defaults.
    pub(super) fn network_configuration(&self) -> Value {
        let mut network = self.get("networkConfiguration").clone();
        if let Some(fields) = network["awsvpcConfiguration"].as_object_mut() {
            fields.entry("securityGroups").or_insert_with(|| json!([]));
            fields
                .entry("assignPublicIp")
                .or_insert_with(|| json!("DISABLED"));
        }
        network
    }

    /// Returns the deployment configuration with the defaults.
    pub(super) fn deployment_configuration(&self) -> Value {
        with_defaults(self.get("deploymentConfiguration"))
    }
}

fn weight(item: &CapacityProviderItem) -> u64 {
    u64::from(item.weight.unwrap_or(1))
}

/// Refuses what ECS has and the emulator does not.
fn check_supported(fields: &Map<String, Value>) -> Result<(), ApiError> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    if let Some(kind @ ("EC2" | "EXTERNAL" | "MANAGED_INSTANCES")) = text("launchType") {
        return Err(ApiError::from_unsupported_feature(&format!(
            "the launch type {kind}"
        )));
    }

    if text("schedulingStrategy") == Some("DAEMON") {
        return Err(ApiError::invalid_parameter(
            "The daemon scheduling strategy is not supported for Fargate tasks.",
        ));
    }

    let controller = fields
        .get("deploymentController")
        .map(|controller| &controller["type"]);
    if let Some(kind @ ("CODE_DEPLOY" | "EXTERNAL")) = controller.and_then(Value::as_str) {
        return Err(ApiError::from_unsupported_feature(&format!(
            "the deployment controller {kind}"
        )));
    }

    for name in ["gatewayConnectors", "vpcLatticeConfigurations"] {
        let value = fields.get(name).and_then(Value::as_array);
        if value.is_some_and(|items| !items.is_empty()) {
            return Err(ApiError::from_unsupported_feature(name));
        }
    }

    Ok(())
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if is_name(name) {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(
        "Invalid service name: use at most 255 letters, digits, hyphens and underscores.",
    ))
}

fn check_count(desired: Option<u32>) -> Result<(), ApiError> {
    if desired.is_none_or(|desired| desired <= MAX_DESIRED) {
        return Ok(());
    }
    let message = format!("desiredCount must be at most {MAX_DESIRED}.");
    Err(ApiError::invalid_parameter(message))
}

/// Reports what the rules for services call an error, all together.
fn check_rules(value: &Value) -> Result<(), ApiError> {
    let source = Source::new("the service", format!("{value:#}"));
    // The rules read files, so the line numbers of the findings mean nothing here.
    let mut findings = ecs_rules::inputs::check_input(&source);
    findings.retain(|finding| finding.severity == Severity::Error);
    if findings.is_empty() {
        return Ok(());
    }
    // All of them at once, although ECS reports the first only.
    let lines = findings.iter().map(|finding| finding.message.as_str());
    Err(ApiError::invalid_parameter(
        lines.collect::<Vec<_>>().join("; "),
    ))
}

/// Traffic can only be shifted where there is something that shifts it.
fn check_traffic(input: &Input, config: &DeploymentConfig) -> Result<(), ApiError> {
    let needs_traffic = matches!(
        config.strategy,
        Strategy::Linear { .. } | Strategy::Canary { .. }
    );

    let has_connect = input
        .service_connect_configuration
        .as_ref()
        .is_some_and(|connect| connect.enabled);
    if needs_traffic && input.load_balancers.is_empty() && !has_connect {
        return Err(ApiError::invalid_parameter(
            "The LINEAR and CANARY deployment strategies need a load balancer or Service Connect.",
        ));
    }

    Ok(())
}

/// Returns the platform fields that a Fargate service has.
pub(super) fn platform(settings: &Settings) -> [(&'static str, Value); 2] {
    let version = settings.get("platformVersion").as_str().unwrap_or("LATEST");
    [
        ("platformVersion", json!(version)),
        ("platformFamily", json!("Linux")),
    ]
}

/// Returns the ARN of the role with which ECS calls load balancers.
pub(super) fn role_arn(owner: &Owner) -> String {
    format!(
        "arn:aws:iam::{}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        owner.account
    )
}

/// The quota "Tasks per service" of ECS.
const MAX_DESIRED: u32 = 5000;

/// The fields of CreateService that ServiceRevision has too.
const REVISION_FIELDS: [&str; 10] = [
    "capacityProviderStrategy",
    "launchType",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "networkConfiguration",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "monitoring",
    "vpcLatticeConfigurations",
];
