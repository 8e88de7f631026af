//! Reads the ECS task metadata endpoint (version 4) and converts it to resource attributes.
//!
//! The sender's container cannot be identified here, since all containers share one loopback
//! interface: senders set `container.name` themselves, with `OTEL_RESOURCE_ATTRIBUTES`.

use std::time::Duration;

use bytes::Bytes;
use chassis::BoxError;
use chassis::http::client::{Client, ClientConfig};
use http::{Request, StatusCode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

/// The part of the task metadata that becomes attributes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    cluster: String,
    #[serde(rename = "TaskARN")]
    task_arn: String,
    family: String,
    revision: String,
    availability_zone: Option<String>,
    launch_type: Option<String>,
}

/// Fetches the task metadata, with retries, within two seconds.
pub(crate) async fn resource_attributes(base: &str) -> Result<Vec<(String, String)>, BoxError> {
    let url = format!("{}/task", base.trim_end_matches('/'));
    // Without a proxy: the endpoint is a link-local address of this task.
    let client = Client::new(ClientConfig::default())?;
    let fetching = async {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match fetch_task(&client, &url).await {
                Ok(task) => return Ok(attributes(&task)),
                Err(error) => last = Some(error),
            }
            sleep(PAUSE).await;
        }
        Err(last.unwrap_or_else(|| "no request was made".into()))
    };

    timeout(LIMIT, fetching)
        .await
        .unwrap_or_else(|elapsed| Err(elapsed.into()))
}

async fn fetch_task(client: &Client, url: &str) -> Result<Task, BoxError> {
    let request = Request::get(url).body(Bytes::new())?;
    let response = client.fetch(request, REQUEST_LIMIT).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("{url} returned {}", response.status()).into());
    }
    Ok(serde_json::from_slice(response.body())?)
}

fn attributes(task: &Task) -> Vec<(String, String)> {
    // Names and values follow OpenTelemetry's semantic conventions for cloud and AWS ECS.
    let mut found = vec![
        ("cloud.provider", "aws".to_owned()),
        ("cloud.platform", "aws_ecs".to_owned()),
        ("cloud.resource_id", task.task_arn.clone()),
        ("aws.ecs.task.arn", task.task_arn.clone()),
        ("aws.ecs.task.family", task.family.clone()),
        ("aws.ecs.task.revision", task.revision.clone()),
    ];

    if let Some(zone) = &task.availability_zone {
        found.push(("cloud.availability_zone", zone.clone()));
    }
    if let Some(kind) = &task.launch_type {
        found.push(("aws.ecs.launchtype", kind.to_lowercase()));
    }

    // Both ARN formats end in the task id: `task/ID` and `task/CLUSTER/ID`.
    if let Some(id) = task.task_arn.rsplit('/').next() {
        found.push(("aws.ecs.task.id", id.to_owned()));
    }

    // arn:PARTITION:ecs:REGION:ACCOUNT:task/…
    let parts: Vec<&str> = task.task_arn.splitn(6, ':').collect();
    if let ["arn", partition, "ecs", region, account, _] = parts[..] {
        found.push(("cloud.region", region.to_owned()));
        found.push(("cloud.account.id", account.to_owned()));

        // Older platform versions return the short name instead of the ARN.
        let cluster = if task.cluster.starts_with("arn:") {
            task.cluster.clone()
        } else {
            format!(
                "arn:{partition}:ecs:{region}:{account}:cluster/{}",
                task.cluster
            )
        };
        found.push(("aws.ecs.cluster.arn", cluster));
    }

    found
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

// Four attempts when requests fail at once; `LIMIT` cuts them short when they are slow.
const ATTEMPTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(250);
const REQUEST_LIMIT: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_attributes(json: &str) -> Vec<(String, String)> {
        attributes(&serde_json::from_str(json).unwrap())
    }

    fn value<'a>(attributes: &'a [(String, String)], key: &str) -> Option<&'a str> {
        attributes
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn converts_the_metadata_of_a_fargate_task() {
        let found = parse_attributes(
            r#"{"Cluster":"arn:aws:ecs:eu-west-1:123456789012:cluster/main","TaskARN":"arn:aws:ecs:eu-west-1:123456789012:task/main/0123abcd","Family":"coins","Revision":"7","DesiredStatus":"RUNNING","KnownStatus":"RUNNING","Limits":{"CPU":0.25,"Memory":512},"AvailabilityZone":"eu-west-1b","LaunchType":"FARGATE","Containers":[]}"#,
        );
        assert_eq!(value(&found, "aws.ecs.task.id"), Some("0123abcd"));
        assert_eq!(value(&found, "aws.ecs.task.revision"), Some("7"));
        assert_eq!(value(&found, "aws.ecs.launchtype"), Some("fargate"));
        assert_eq!(value(&found, "cloud.region"), Some("eu-west-1"));
        assert_eq!(value(&found, "cloud.account.id"), Some("123456789012"));
        assert_eq!(value(&found, "cloud.availability_zone"), Some("eu-west-1b"));
    }

    #[test]
    fn builds_an_arn_from_a_short_cluster_name() {
        let found = parse_attributes(
            r#"{"Cluster":"main","TaskARN":"arn:aws-cn:ecs:cn-north-1:1:task/main/a","Family":"f","Revision":"1"}"#,
        );
        let cluster = "arn:aws-cn:ecs:cn-north-1:1:cluster/main";
        assert_eq!(value(&found, "aws.ecs.cluster.arn"), Some(cluster));
        assert_eq!(value(&found, "cloud.availability_zone"), None);
    }

    #[test]
    fn omits_the_region_when_the_arn_has_none() {
        let found =
            parse_attributes(r#"{"Cluster":"c","TaskARN":"odd","Family":"f","Revision":"1"}"#);
        assert_eq!(value(&found, "cloud.region"), None);
        assert_eq!(value(&found, "aws.ecs.task.id"), Some("odd"));
    }
}
