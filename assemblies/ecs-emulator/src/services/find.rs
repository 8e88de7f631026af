//! DescribeServices, ListServices and ListServicesByNamespace.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Service, Status, document};
use crate::api_error::ApiError;
use crate::clusters;
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeServices {
    cluster: Option<String>,
    services: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

/// `DescribeServices`.
pub(crate) fn describe(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DescribeServices = call.read()?;
    if input.services.is_empty() {
        return Err(ApiError::invalid_parameter("Services cannot be empty."));
    }

    if input.services.len() > 10 {
        return Err(ApiError::invalid_parameter(
            "services cannot have more than 10 items",
        ));
    }

    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    let with_tags = input.include.iter().any(|field| field == "TAGS");
    let (mut found, mut failures) = (Vec::new(), Vec::new());

    for text in &input.services {
        match state.find_service(Some(&cluster), text) {
            Ok(key) if with_tags => found.push(document::with_tags(state, &key)),
            Ok(key) => found.push(document::without_tags(state, &key)),
            // Missing services are failures in the answer, not an error of the call.
            Err(error) if error.code == "ServiceNotFoundException" => {
                let name = state.owner.resource(text, "service")?;
                // An ARN names the cluster, too.
                let name = name.rsplit('/').next().unwrap_or(name);
                let arn = state.owner.arn(&format!("service/{cluster}/{name}"));
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
            Err(error) => return Err(error),
        }
    }

    Ok(json!({ "services": found, "failures": failures }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListServices {
    cluster: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
    launch_type: Option<String>,
    scheduling_strategy: Option<String>,
    resource_management_type: Option<String>,
}

/// `ListServices`: those that are ACTIVE.
pub(crate) fn list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListServices = call.read()?;
    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    let is_listed = |service: &&Service| {
        let launch_type = service.settings.get("launchType").as_str();
        let matches_type = input
            .launch_type
            .as_deref()
            .is_none_or(|wanted| Some(wanted) == launch_type);
        // Services have no other strategy and no other owner here.
        let strategy = input.scheduling_strategy.as_deref().unwrap_or("REPLICA");
        let owner = input
            .resource_management_type
            .as_deref()
            .unwrap_or("CUSTOMER");
        service.cluster == cluster
            && service.status == Status::Active
            && matches_type
            && (strategy, owner) == ("REPLICA", "CUSTOMER")
    };

    let services = state.services.iter().filter(is_listed);
    let request = PageRequest {
        max_results: input.max_results.or(Some(DEFAULT_PAGE)),
        next_token: input.next_token.as_deref(),
        order: Order::Ascending,
    };

    let page =
        request.cut(services.map(|service| (service.name.clone(), service.arn(&state.owner))))?;

    Ok(page.to_json("serviceArns"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListServicesByNamespace {
    namespace: String,
    #[serde(rename = "nextToken")]
    _next_token: Option<String>,
    #[serde(rename = "maxResults")]
    _max_results: Option<i64>,
}

/// `ListServicesByNamespace`: the emulator has no Cloud Map, so no namespace has a service.
pub(crate) fn list_by_namespace(_: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListServicesByNamespace = call.read()?;
    if input.namespace.is_empty() {
        return Err(ApiError::invalid_parameter("namespace cannot be empty"));
    }
    Ok(json!({ "serviceArns": [] }))
}

/// The page size of ListServices without `maxResults`.
const DEFAULT_PAGE: i64 = 10;
