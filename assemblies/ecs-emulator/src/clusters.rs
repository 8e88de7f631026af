//! Clusters. They only group tasks: every task runs on this host.

use serde::Deserialize;
use serde_json::{Value, json};
use task_definition::{CapacityProviderItem, Tag};

use crate::api_error::ApiError;
use crate::arn::{Owner, is_name};
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;
use crate::tags;

/// A cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) tags: Vec<Tag>,
    settings: Vec<Value>,
    configuration: Option<Value>,
    capacity_providers: Vec<String>,
    pub(crate) default_strategy: Vec<CapacityProviderItem>,
    service_connect_defaults: Option<Value>,
}

impl Cluster {
    /// Creates an active cluster with the default settings.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_active: true,
            tags: Vec::new(),
            settings: vec![json!({ "name": "containerInsights", "value": "disabled" })],
            configuration: None,
            capacity_providers: Vec::new(),
            default_strategy: Vec::new(),
            service_connect_defaults: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateCluster {
    cluster_name: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    settings: Option<Vec<Value>>,
    configuration: Option<Value>,
    #[serde(default)]
    capacity_providers: Vec<String>,
    #[serde(default)]
    default_capacity_provider_strategy: Vec<CapacityProviderItem>,
    service_connect_defaults: Option<Value>,
}

/// `CreateCluster`. A cluster that exists is returned as it is, and one that is INACTIVE is created again.
pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: CreateCluster = call.read()?;
    let name = input.cluster_name.unwrap_or_else(|| "default".to_owned());
    if !is_name(&name) {
        return Err(ApiError::invalid_parameter(
            "Cluster name should be at most 255 letters, digits, hyphens and underscores",
        ));
    }
    // All checks come before the first change.
    tags::check(&input.tags)?;
    check_providers(&input.capacity_providers)?;
    if state.clusters.len() >= MAX_CLUSTERS && !state.clusters.contains_key(&name) {
        return Err(ApiError::client(format!(
            "the emulator has at most {MAX_CLUSTERS} clusters"
        )));
    }

    // ECS returns an active cluster with this name as it is: creating it again is no error.
    let existing = state
        .clusters
        .get(&name)
        .filter(|cluster| cluster.is_active);
    let cluster = existing.cloned().unwrap_or_else(|| Cluster {
        tags: input.tags,
        configuration: input.configuration,
        capacity_providers: input.capacity_providers,
        default_strategy: input.default_capacity_provider_strategy,
        service_connect_defaults: input.service_connect_defaults,
        settings: input
            .settings
            .unwrap_or_else(|| Cluster::new(&name).settings),
        ..Cluster::new(&name)
    });

    state.clusters.insert(name.clone(), cluster);
    Ok(json!({ "cluster": to_json(state, &name, Include::All) }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeClusters {
    clusters: Option<Vec<String>>,
    #[serde(default)]
    include: Vec<String>,
}

/// `DescribeClusters`.
pub(crate) fn describe(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DescribeClusters = call.read()?;
    let names = input.clusters.filter(|names| !names.is_empty());
    let names = names.unwrap_or_else(|| vec!["default".to_owned()]);
    // The limit of the API.
    if names.len() > 100 {
        return Err(ApiError::invalid_parameter(
            "clusters cannot have more than 100 items",
        ));
    }

    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for text in names {
        let name = state.owner.resource(&text, "cluster")?;
        if state.clusters.contains_key(name) {
            found.push(to_json(state, name, Include::Only(&input.include)));
        } else {
            failures.push(json!({ "arn": arn(&state.owner, name), "reason": "MISSING" }));
        }
    }
    Ok(json!({ "clusters": found, "failures": failures }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListClusters {
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// `ListClusters`.
pub(crate) fn list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListClusters = call.read()?;
    let request = PageRequest {
        max_results: input.max_results,
        next_token: input.next_token.as_deref(),
        order: Order::Ascending,
    };
    let active = state.clusters.values().filter(|cluster| cluster.is_active);
    let page = request
        .cut(active.map(|cluster| (cluster.name.clone(), arn(&state.owner, &cluster.name))))?;
    Ok(page.to_json("clusterArns"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteCluster {
    cluster: String,
}

/// `DeleteCluster`: the cluster becomes INACTIVE.
pub(crate) fn delete(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DeleteCluster = call.read()?;
    let name = resolve(state, Some(&input.cluster))?;
    if state.services.count_in(&name) > 0 {
        let message = "The Cluster cannot be deleted while Services are active.";
        return Err(ApiError::new("ClusterContainsServicesException", message));
    }
    // Their processes would go on in a cluster that no call can name.
    if state.tasks.count_in(&name) != (0, 0) {
        return Err(ApiError::new(
            "ClusterContainsTasksException",
            "The Cluster cannot be deleted while Tasks are active.",
        ));
    }
    // It stays, so that a call that names it gets the error for an inactive cluster.
    if let Some(cluster) = state.clusters.get_mut(&name) {
        cluster.is_active = false;
    }
    Ok(json!({ "cluster": to_json(state, &name, Include::All) }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateCluster {
    cluster: String,
    settings: Option<Vec<Value>>,
    configuration: Option<Value>,
    service_connect_defaults: Option<Value>,
}

/// `UpdateCluster` and `UpdateClusterSettings`.
pub(crate) fn update(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: UpdateCluster = call.read()?;
    let name = resolve(state, Some(&input.cluster))?;
    if let Some(cluster) = state.clusters.get_mut(&name) {
        cluster.settings = input.settings.unwrap_or_else(|| cluster.settings.clone());
        cluster.configuration = input.configuration.or(cluster.configuration.take());
        cluster.service_connect_defaults = input
            .service_connect_defaults
            .or(cluster.service_connect_defaults.take());
    }
    Ok(json!({ "cluster": to_json(state, &name, Include::All) }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutClusterCapacityProviders {
    cluster: String,
    capacity_providers: Vec<String>,
    default_capacity_provider_strategy: Vec<CapacityProviderItem>,
}

/// `PutClusterCapacityProviders`.
pub(crate) fn put_capacity_providers(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: PutClusterCapacityProviders = call.read()?;
    check_providers(&input.capacity_providers)?;
    let name = resolve(state, Some(&input.cluster))?;
    if let Some(cluster) = state.clusters.get_mut(&name) {
        cluster.capacity_providers = input.capacity_providers;
        cluster.default_strategy = input.default_capacity_provider_strategy;
    }
    Ok(json!({ "cluster": to_json(state, &name, Include::All) }))
}

/// Returns the name of an active cluster. Without an identifier it is `default`.
pub(crate) fn resolve(state: &State, text: Option<&str>) -> Result<String, ApiError> {
    let name = state.owner.resource(text.unwrap_or("default"), "cluster")?;
    let not_found = |message: &str| ApiError::new("ClusterNotFoundException", message);
    match state.clusters.get(name) {
        Some(cluster) if cluster.is_active => Ok(name.to_owned()),
        Some(_) => Err(not_found("The referenced cluster was inactive.")),
        None => Err(not_found("Cluster not found.")),
    }
}

/// Returns the ARN of a cluster.
pub(crate) fn arn(owner: &Owner, name: &str) -> String {
    owner.arn(&format!("cluster/{name}"))
}

fn check_providers(names: &[String]) -> Result<(), ApiError> {
    match names
        .iter()
        .find(|name| !matches!(name.as_str(), "FARGATE" | "FARGATE_SPOT"))
    {
        None => Ok(()),
        Some(name) => Err(ApiError::invalid_parameter(format!(
            "The specified capacity provider '{name}' was not found; the emulator has FARGATE and FARGATE_SPOT"
        ))),
    }
}

/// The optional fields of a description.
enum Include<'a> {
    All,
    Only(&'a [String]),
}

impl Include<'_> {
    fn has(&self, field: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(fields) => fields.iter().any(|name| name == field),
        }
    }
}

fn to_json(state: &State, name: &str, include: Include) -> Value {
    let Some(cluster) = state.clusters.get(name) else {
        return Value::Null;
    };

    // Counted from the tasks, so that the numbers cannot differ from DescribeTasks.
    let (running, pending) = state.tasks.count_in(name);
    let mut value = json!({
        "clusterArn": arn(&state.owner, name),
        "clusterName": name,
        "status": if cluster.is_active { "ACTIVE" } else { "INACTIVE" },
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": running,
        "pendingTasksCount": pending,
        "activeServicesCount": state.services.count_in(name),
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": cluster.capacity_providers,
        "defaultCapacityProviderStrategy": cluster.default_strategy,
    });

    if include.has("TAGS") {
        value["tags"] = json!(cluster.tags);
    }
    if include.has("SETTINGS") {
        value["settings"] = json!(cluster.settings);
    }
    if let Some(configuration) = cluster
        .configuration
        .clone()
        .filter(|_| include.has("CONFIGURATIONS"))
    {
        value["configuration"] = configuration;
    }
    if let Some(defaults) = &cluster.service_connect_defaults {
        value["serviceConnectDefaults"] = defaults.clone();
    }
    value
}

const MAX_CLUSTERS: usize = 1000;
