//! ListTaskDefinitions and ListTaskDefinitionFamilies.

use serde::Deserialize;
use serde_json::Value;

use super::{Revision, Status};
use crate::api_error::ApiError;
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListTaskDefinitions {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// `ListTaskDefinitions`. `familyPrefix` is the name of a family, despite its name.
pub(crate) fn list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListTaskDefinitions = call.read()?;
    let status = match input.status.as_deref() {
        None | Some("ACTIVE") => Status::Active,
        Some("INACTIVE") => Status::Inactive,
        Some("DELETE_IN_PROGRESS") => Status::DeleteInProgress,
        Some(other) => {
            return Err(ApiError::invalid_parameter(format!(
                "unknown status '{other}'"
            )));
        }
    };

    let is_listed = |revision: &&Revision| {
        let family = input.family_prefix.as_ref();
        revision.status == status
            && family.is_none_or(|family| *family == revision.definition.family)
    };

    let mut listed: Vec<&Revision> = state
        .definitions
        .families
        .values()
        .flatten()
        .filter(is_listed)
        .collect();
    let order = match input.sort.as_deref() {
        None | Some("ASC") => Order::Ascending,
        Some("DESC") => Order::Descending,
        Some(other) => {
            return Err(ApiError::invalid_parameter(format!(
                "unknown sort order '{other}'"
            )));
        }
    };

    if order == Order::Descending {
        listed.reverse();
    }

    // The separator sorts before every letter of a name, so keys sort as families and numbers do.
    let key =
        |revision: &Revision| format!("{}\u{0}{:010}", revision.definition.family, revision.number);
    let items = listed
        .into_iter()
        .map(|revision| (key(revision), revision.arn(&state.owner)));
    let request = PageRequest {
        max_results: input.max_results,
        next_token: input.next_token.as_deref(),
        order,
    };

    Ok(request.cut(items)?.to_json("taskDefinitionArns"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListTaskDefinitionFamilies {
    family_prefix: Option<String>,
    status: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// `ListTaskDefinitionFamilies`: ACTIVE families have a revision that is ACTIVE, the others are INACTIVE.
pub(crate) fn list_families(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListTaskDefinitionFamilies = call.read()?;
    let wanted = match input.status.as_deref() {
        None | Some("ALL") => None,
        Some("ACTIVE") => Some(true),
        Some("INACTIVE") => Some(false),
        Some(other) => {
            return Err(ApiError::invalid_parameter(format!(
                "unknown status '{other}'"
            )));
        }
    };

    // Unlike in ListTaskDefinitions it really is a prefix here.
    let prefix = input.family_prefix.unwrap_or_default();
    let families = state
        .definitions
        .families
        .iter()
        .filter(|(family, revisions)| {
            let is_active = revisions
                .iter()
                .any(|revision| revision.status == Status::Active);
            family.starts_with(&prefix) && wanted.is_none_or(|wanted| wanted == is_active)
        });

    let request = PageRequest {
        max_results: input.max_results,
        next_token: input.next_token.as_deref(),
        order: Order::Ascending,
    };

    let page = request.cut(families.map(|(family, _)| (family.clone(), family.clone())))?;
    Ok(page.to_json("families"))
}
