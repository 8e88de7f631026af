//! Tags: TagResource, UntagResource and ListTagsForResource, and the limits of all lists of tags.

use serde::Deserialize;
use serde_json::{Value, json};
use task_definition::Tag;

use crate::api_error::ApiError;
use crate::request::Call;
use crate::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

/// `TagResource`.
pub(crate) fn tag(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: TagResource = call.read()?;
    let own = find(state, &input.resource_arn)?;
    // Checked as a whole, and only then taken over.
    let mut all = own.clone();
    merge(&mut all, input.tags);
    check(&all)?;
    *own = all;
    Ok(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

/// `UntagResource`.
pub(crate) fn untag(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: UntagResource = call.read()?;
    find(state, &input.resource_arn)?.retain(|tag| !input.tag_keys.contains(&tag.key));
    Ok(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListTagsForResource {
    resource_arn: String,
}

/// `ListTagsForResource`.
pub(crate) fn list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListTagsForResource = call.read()?;
    Ok(json!({ "tags": find(state, &input.resource_arn)? }))
}

/// Checks the limits of ECS: 50 tags, keys of 1 to 128 characters, values of up to 256, no key twice, and none that
/// starts with `aws:`.
pub(crate) fn check(tags: &[Tag]) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::invalid_parameter(message));
    if tags.len() > 50 {
        return invalid(format!(
            "Too many tags: {}; a resource has at most 50",
            tags.len()
        ));
    }
    for (index, Tag { key, value }) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return invalid(format!("The tag '{key}' is too long, or has no key"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return invalid(format!(
                "The tag '{key}' starts with aws:, which is reserved"
            ));
        }
        if tags[..index].iter().any(|earlier| earlier.key == *key) {
            return invalid(format!("Duplicate tag keys are not allowed: '{key}'"));
        }
    }
    Ok(())
}

/// Adds tags; those with the same key are replaced.
pub(crate) fn merge(tags: &mut Vec<Tag>, more: Vec<Tag>) {
    for tag in more {
        match tags.iter_mut().find(|own| own.key == tag.key) {
            Some(own) => *own = tag,
            None => tags.push(tag),
        }
    }
}

/// Finds the tags of a resource by its ARN.
fn find<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut Vec<Tag>, ApiError> {
    let missing =
        || ApiError::invalid_parameter(format!("The specified resource was not found: {arn}"));
    let State {
        owner,
        clusters,
        definitions,
        services,
        tasks,
        ..
    } = state;

    // Resources of other accounts and regions do not exist here.
    let prefix = owner.arn("");
    let (kind, name) = arn
        .strip_prefix(&prefix)
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(missing)?;

    let found = match kind {
        "service" => services.tags_mut(name),
        "cluster" => clusters.get_mut(name).map(|cluster| &mut cluster.tags),
        "task-definition" => definitions
            .find_mut(name, owner)?
            .map(|revision| &mut revision.tags),
        // `CLUSTER/ID`
        "task" => {
            let id = name.split_once('/').map_or(name, |(_, id)| id);
            tasks.by_id.get_mut(id).map(|task| &mut task.launch.tags)
        }
        _ => None,
    };

    found.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag {
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn rejects_tags_beyond_the_limits() {
        assert_eq!(check(&[tag("team", "shop"), tag("env", "")]), Ok(()));
        for tags in [
            vec![tag("aws:x", "")],
            vec![tag("a", ""), tag("a", "")],
            vec![tag("", "")],
            vec![tag("a", &"x".repeat(257))],
            (0..51).map(|number| tag(&number.to_string(), "")).collect(),
        ] {
            assert_eq!(check(&tags).unwrap_err().code, "InvalidParameterException");
        }
    }

    #[test]
    fn a_later_tag_replaces_one_with_the_same_key() {
        let mut tags = vec![tag("a", "1"), tag("b", "2")];
        merge(&mut tags, vec![tag("b", "3"), tag("c", "4")]);
        assert_eq!(tags, [tag("a", "1"), tag("b", "3"), tag("c", "4")]);
    }
}
