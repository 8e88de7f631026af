//! Account settings, and the capacity providers of Fargate.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;
use crate::sts::caller_arn;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutAccountSetting {
    name: String,
    value: String,
    #[serde(rename = "principalArn")]
    _principal_arn: Option<String>,
}

/// `PutAccountSetting` and `PutAccountSettingDefault`: there is one user, so both set the same. Settings are stored
/// and reported; they change nothing here.
pub(crate) fn put(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: PutAccountSetting = call.read()?;
    let name = check_name(&input.name)?;
    state.settings.insert(name.to_owned(), input.value.clone());
    Ok(json!({ "setting": to_json(state, name, &input.value) }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteAccountSetting {
    name: String,
    #[serde(rename = "principalArn")]
    _principal_arn: Option<String>,
}

/// `DeleteAccountSetting`.
pub(crate) fn delete(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DeleteAccountSetting = call.read()?;
    let name = check_name(&input.name)?;
    let value = state.settings.remove(name).unwrap_or_default();
    Ok(json!({ "setting": to_json(state, name, &value) }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListAccountSettings {
    name: Option<String>,
    value: Option<String>,
    #[serde(rename = "principalArn")]
    _principal_arn: Option<String>,
    #[serde(default)]
    effective_settings: bool,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// `ListAccountSettings`: those that were set, or with `effectiveSettings` all.
pub(crate) fn list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListAccountSettings = call.read()?;
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    // Without it ECS returns only the settings that were changed.
    if input.effective_settings {
        all.extend(DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    all.extend(state.settings.clone());

    // Both filters must match.
    let has = |filter: &Option<String>, value: &String| {
        filter.as_ref().is_none_or(|filter| filter == value)
    };

    all.retain(|name, value| has(&input.name, name) && has(&input.value, value));
    let items = all
        .iter()
        .map(|(name, value)| (name.clone(), to_json(state, name, value)));
    let request = PageRequest {
        max_results: input.max_results,
        next_token: input.next_token.as_deref(),
        order: Order::Ascending,
    };

    Ok(request.cut(items)?.to_json("settings"))
}

fn to_json(state: &State, name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value, "principalArn": caller_arn(&state.owner), "type": "user" })
}

fn check_name(text: &str) -> Result<&'static str, ApiError> {
    let found = DEFAULTS.iter().find(|(name, _)| *name == text);
    found
        .map(|(name, _)| *name)
        .ok_or_else(|| ApiError::invalid_parameter(format!("unknown setting '{text}'")))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeCapacityProviders {
    #[serde(default)]
    capacity_providers: Vec<String>,
    #[serde(rename = "cluster")]
    _cluster: Option<String>,
    #[serde(default, rename = "include")]
    _include: Vec<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// `DescribeCapacityProviders`: FARGATE and FARGATE_SPOT.
pub(crate) fn describe_capacity_providers(
    state: &mut State,
    call: &Call,
) -> Result<Value, ApiError> {
    let input: DescribeCapacityProviders = call.read()?;
    let arn = |name: &str| state.owner.arn(&format!("capacity-provider/{name}"));
    let is_named = |name: &str| {
        let names = &input.capacity_providers;
        names.is_empty() || names.iter().any(|text| text == name || *text == arn(name))
    };

    let provider = |name: &&str| {
        let provider = json!({ "capacityProviderArn": arn(name), "name": name, "status": "ACTIVE", "tags": [], "type": name });
        ((*name).to_owned(), provider)
    };

    let items: Vec<_> = PROVIDERS
        .iter()
        .filter(|name| is_named(name))
        .map(provider)
        .collect();
    let request = PageRequest {
        max_results: input.max_results,
        next_token: input.next_token.as_deref(),
        order: Order::Ascending,
    };

    let mut body = request.cut(items)?.to_json("capacityProviders");

    // Providers of Auto Scaling groups do not exist here.
    let is_missing = |text: &&String| {
        !PROVIDERS
            .iter()
            .any(|name| *text == name || **text == arn(name))
    };

    let missing = input.capacity_providers.iter().filter(is_missing);
    let failures: Vec<Value> = missing
        .map(|text| json!({ "arn": text, "reason": "MISSING" }))
        .collect();
    body["failures"] = failures.into();
    Ok(body)
}

const PROVIDERS: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];

/// The settings of ECS and the values of an account that has changed none (ECS API, PutAccountSetting).
const DEFAULTS: [(&str, &str); 11] = [
    ("awsvpcTrunking", "disabled"),
    ("containerInsights", "disabled"),
    ("containerInstanceLongArnFormat", "enabled"),
    ("defaultLogDriverMode", "non-blocking"),
    ("fargateEventWindows", "disabled"),
    ("fargateFIPSMode", "disabled"),
    ("fargateTaskRetirementWaitPeriod", "7"),
    ("guardDutyActivate", "off"),
    ("serviceLongArnFormat", "enabled"),
    ("tagResourceAuthorization", "on"),
    ("taskLongArnFormat", "enabled"),
];
