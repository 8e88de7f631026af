//! The names of services and tasks on AWS.

use std::fmt;
use std::str::FromStr;

/// A service: `CLUSTER/SERVICE`, or the ARN of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    cluster: String,
    service: String,
    arn: Option<String>,
}

impl ServiceName {
    /// Returns the name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns the name of the service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns the ARN, if it was given.
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }
}

impl FromStr for ServiceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_arn = text.starts_with("arn:");
        let path = if is_arn {
            // arn:aws:ecs:region:account:service/cluster/service
            let (_, path) = text
                .split_once(":service/")
                .ok_or("expected the ARN of a service: `arn:…:service/CLUSTER/SERVICE`")?;
            path
        } else {
            text
        };

        let parts: Vec<_> = path.split('/').collect();
        match parts[..] {
            [cluster, service] if is_name(cluster) && is_name(service) => Ok(Self {
                cluster: cluster.to_owned(),
                service: service.to_owned(),
                arn: is_arn.then(|| text.to_owned()),
            }),
            // ARNs of before 2018 have no cluster.
            [_] if is_arn => Err("this ARN has no cluster; pass `CLUSTER/SERVICE`".to_owned()),
            _ => Err("expected `CLUSTER/SERVICE`, or the ARN of a service".to_owned()),
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.service)
    }
}

/// A task: `CLUSTER/ID`, or the ARN of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    cluster: String,
    task: String,
}

impl TaskName {
    /// Returns the name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns the ARN or the id.
    pub fn task(&self) -> &str {
        &self.task
    }
}

impl FromStr for TaskName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected the ARN of a task, or `CLUSTER/ID`".to_owned();
        let path = match text.strip_prefix("arn:") {
            Some(rest) => rest.split_once(":task/").ok_or_else(expected)?.1,
            None => text,
        };
        match path.split_once('/') {
            Some((cluster, id)) if is_name(cluster) && is_name(id) => Ok(Self {
                cluster: cluster.to_owned(),
                task: if text.starts_with("arn:") {
                    text.to_owned()
                } else {
                    id.to_owned()
                },
            }),
            _ => Err(expected()),
        }
    }
}

/// Source: CreateCluster and CreateService in the ECS API reference.
fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(is_allowed)
}

const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::{ServiceName, TaskName};

    #[test]
    fn services_are_named_by_cluster_and_service() {
        let name: ServiceName = "main/web".parse().expect("a name");
        assert_eq!(
            (name.cluster(), name.service(), name.arn()),
            ("main", "web", None)
        );

        let arn = "arn:aws:ecs:eu-central-1:111122223333:service/main/web";
        let name: ServiceName = arn.parse().expect("an ARN");
        assert_eq!(
            (name.to_string().as_str(), name.arn()),
            ("main/web", Some(arn))
        );

        for text in [
            "",
            "web",
            "main/",
            "/web",
            "a/b/c",
            "main/we b",
            "arn:aws:ecs:eu-central-1:111122223333:service/web",
            "arn:aws:ecs:eu-central-1:111122223333:task/main/0123",
        ] {
            assert!(text.parse::<ServiceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn tasks_are_named_by_arn_or_cluster_and_id() {
        let arn = "arn:aws:ecs:eu-central-1:111122223333:task/main/0123";
        let name: TaskName = arn.parse().expect("an ARN");
        assert_eq!((name.cluster(), name.task()), ("main", arn));
        let name: TaskName = "main/0123".parse().expect("a name");
        assert_eq!((name.cluster(), name.task()), ("main", "0123"));
        assert!("0123".parse::<TaskName>().is_err());
    }
}
