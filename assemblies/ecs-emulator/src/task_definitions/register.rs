//! RegisterTaskDefinition.

use std::sync::Arc;

use diagnostics::source::{Node, Source};
use diagnostics::{Finding, LocationMap, Severity};
use serde_json::{Value, json};
use task_definition::{LocatedDefinition, TaskDefinition};

use super::{Revision, Status, to_json};
use crate::api_error::ApiError;
use crate::request::{Call, to_error};
use crate::state::State;
use crate::tags;

/// `RegisterTaskDefinition`. What the rules of `ecs-rules` report as an error is refused, all errors together.
pub(crate) fn register(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let mut definition: TaskDefinition = call.read_record("the task definition")?;
    // Tags can change after registration, so they are not part of the revision.
    let tags = std::mem::take(&mut definition.tags);
    tags::check(&tags)?;
    check_rules(&definition, call)?;
    if state.definitions.len() >= MAX_REVISIONS {
        let message = format!("the emulator keeps at most {MAX_REVISIONS} revisions; restart it");
        return Err(ApiError::new("LimitExceededException", message));
    }

    let revisions = state
        .definitions
        .families
        .entry(definition.family.clone())
        .or_default();
    let revision = Revision {
        number: revisions.last().map_or(1, |last| last.number + 1),
        definition: Arc::new(definition),
        tags,
        status: Status::Active,
        registered: call.now,
        deregistered: None,
        delete_requested: None,
    };

    let body = json!({ "taskDefinition": to_json(&revision, &state.owner), "tags": revision.tags });
    revisions.push(revision);
    Ok(body)
}

fn check_rules(definition: &TaskDefinition, call: &Call) -> Result<(), ApiError> {
    // There is no file: findings have JSON pointers into the request.
    let source = Source::new("the task definition", "");
    let located = LocatedDefinition {
        definition: definition.clone(),
        locations: LocationMap::from_source(&source, Node::from_json(call.body())),
    };
    let mut findings = ecs_rules::check(&located);
    // Warnings are for `assemble check`; ECS registers such a definition.
    findings.retain(|finding: &Finding| finding.severity == Severity::Error);
    if findings.is_empty() {
        return Ok(());
    }
    Err(to_error(&findings))
}

const MAX_REVISIONS: usize = 10_000;
