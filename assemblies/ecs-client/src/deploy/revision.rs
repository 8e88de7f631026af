//! Revisions with other images: the JSON of the running revision, changed only there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use task_definition::TaskDefinition;

use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// The images of containers, by their names.
pub type Images = BTreeMap<String, String>;

/// A registered revision as ECS returns it, with the fields that no type has.
#[derive(Debug, Clone)]
pub(crate) struct RawRevision {
    document: Value,
    tags: Value,
}

impl RawRevision {
    /// Reads a revision, by its ARN.
    pub(crate) async fn read(api: &impl Api, arn: &str) -> Result<Self, Error> {
        let operation = Operation::DescribeTaskDefinition;
        // Tags are returned only on request.
        let body = json!({ "taskDefinition": arn, "include": ["TAGS"] });
        let mut response = api.call(&Call::new(operation, body)).await?;
        let (document, tags) = (response["taskDefinition"].take(), response["tags"].take());
        if !document.is_object() {
            return Err(Error::UnexpectedResponse {
                operation,
                status: 200,
            });
        }
        Ok(Self { document, tags })
    }

    /// Returns the document of ECS.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// Returns the ARN.
    pub(crate) fn arn(&self) -> &str {
        self.document["taskDefinitionArn"]
            .as_str()
            .unwrap_or_default()
    }

    /// Returns the definition as a type, if it can be read.
    pub(crate) fn to_definition(&self) -> Option<TaskDefinition> {
        let mut document = self.document.clone();
        if self.tags.is_array() {
            document["tags"] = self.tags.clone();
        }
        serde_json::from_value(document).ok()
    }

    /// Returns the images of all containers.
    pub(crate) fn images(&self) -> Images {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.containers()
            .map(|container| (text(&container["name"]), text(&container["image"])))
            .collect()
    }

    /// Returns whether the containers have these images.
    pub(crate) fn has(&self, images: &Images) -> bool {
        let own = self.images();
        images
            .iter()
            .all(|(name, image)| own.get(name) == Some(image))
    }

    /// Returns the request that registers this revision with other images. Every other field is the same, also those
    /// that this program does not know.
    pub(crate) fn with_images(&self, images: &Images) -> Result<Value, Error> {
        let known = self.images();
        let unknown: Vec<_> = images
            .keys()
            .filter(|name| !known.contains_key(*name))
            .collect();
        if let Some(name) = unknown.first() {
            let names: Vec<_> = known.into_keys().collect();
            return Err(Error::InvalidRequest(format!(
                "{} has no container `{name}`; it has {}",
                self.arn(),
                names.join(", ")
            )));
        }

        let mut request = self.document.clone();
        if let Some(fields) = request.as_object_mut() {
            fields.retain(|name, _| !RESPONSE_FIELDS.contains(&name.as_str()));
            // An empty list would be refused.
            if self.tags.as_array().is_some_and(|tags| !tags.is_empty()) {
                fields.insert("tags".to_owned(), self.tags.clone());
            }
        }

        let containers = request["containerDefinitions"].as_array_mut();
        for container in containers.into_iter().flatten() {
            let image = container["name"].as_str().and_then(|name| images.get(name));
            if let Some(image) = image {
                container["image"] = image.as_str().into();
            }
        }
        Ok(request)
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        let containers = self.document["containerDefinitions"].as_array();
        containers.into_iter().flatten()
    }
}

/// Fields of TaskDefinition that RegisterTaskDefinition does not take (ECS API reference).
const RESPONSE_FIELDS: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Images, RawRevision};

    fn images(pairs: &[(&str, &str)]) -> Images {
        let pair = |(name, image): &(&str, &str)| ((*name).to_owned(), (*image).to_owned());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn changes_nothing_but_images() {
        let revision = RawRevision {
            document: json!({
                "taskDefinitionArn": "arn", "revision": 7, "status": "ACTIVE", "registeredAt": 1.5,
                "zNewField": { "b": [1, null, 1.50], "a": "ä" },
                "family": "web",
                "containerDefinitions": [
                    { "newer": true, "name": "app", "image": "app:1", "cpu": 0 },
                    { "name": "proxy", "image": "proxy:1" },
                ],
            }),
            tags: json!([{ "key": "team", "value": "a" }]),
        };
        let request = revision
            .with_images(&images(&[("app", "app:2")]))
            .expect("a request");
        // As text: the order of the fields is kept as well.
        assert_eq!(
            request.to_string(),
            json!({
                "zNewField": { "b": [1, null, 1.50], "a": "ä" },
                "family": "web",
                "containerDefinitions": [
                    { "newer": true, "name": "app", "image": "app:2", "cpu": 0 },
                    { "name": "proxy", "image": "proxy:1" },
                ],
                "tags": [{ "key": "team", "value": "a" }],
            })
            .to_string()
        );

        let error = revision
            .with_images(&images(&[("ap", "x")]))
            .expect_err("no container");
        assert_eq!(
            error.to_string(),
            "arn has no container `ap`; it has app, proxy"
        );
    }
}
