//! `valueFrom` of a container: a secret of Secrets Manager, or a parameter of Systems Manager.

use super::request::VerifyRequest;

/// What `valueFrom` of a container refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SecretReference {
    /// A secret of Secrets Manager.
    Secret {
        /// The ARN without what follows.
        arn: String,
        region: String,
        /// The key of a JSON object; empty for the whole text.
        key: String,
        /// The label of a version; empty for the current one.
        stage: String,
        /// The id of a version; empty for the one with the label.
        version: String,
    },
    /// A parameter of Systems Manager.
    Parameter {
        /// The name, with its path.
        name: String,
        /// Empty for the region of the task.
        region: String,
    },
}

impl SecretReference {
    /// Reads `valueFrom`.
    ///
    /// Source: "Pass sensitive data to an Amazon ECS container" in the ECS developer guide:
    /// `arn:partition:secretsmanager:region:account:secret:name:json-key:version-stage:version-id`.
    pub(super) fn parse(value_from: &str) -> Self {
        let parts: Vec<&str> = value_from.split(':').collect();
        let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        match part(2).as_str() {
            "secretsmanager" => Self::Secret {
                arn: parts[..parts.len().min(7)].join(":"),
                region: part(3),
                key: part(7),
                stage: part(8),
                version: part(9),
            },
            "ssm" => {
                let resource = part(5);
                let name = resource.strip_prefix("parameter").unwrap_or(&resource);
                // `parameter/name` is the parameter `name`; only names with a path begin with a slash.
                let bare = name.strip_prefix('/').unwrap_or(name);
                Self::Parameter {
                    name: if bare.contains('/') {
                        name.to_owned()
                    } else {
                        bare.to_owned()
                    },
                    region: part(3),
                }
            }
            // In the region of the task a parameter is named without an ARN.
            _ => Self::Parameter {
                name: value_from.to_owned(),
                region: String::new(),
            },
        }
    }

    pub(super) fn region(&self) -> &str {
        match self {
            Self::Secret { region, .. } | Self::Parameter { region, .. } => region,
        }
    }

    pub(super) fn is_elsewhere(&self, request: &VerifyRequest) -> bool {
        !self.region().is_empty() && self.region() != request.region
    }
}

#[cfg(test)]
mod tests {
    use super::SecretReference;

    #[test]
    fn reads_what_follows_the_arn() {
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-Ab1Cd2";
        let SecretReference::Secret {
            arn: found,
            region,
            key,
            stage,
            version,
        } = SecretReference::parse(&format!("{arn}:password:AWSPREVIOUS:"))
        else {
            panic!("no secret");
        };
        assert_eq!((found.as_str(), region.as_str()), (arn, "eu-central-1"));
        assert_eq!(
            (key.as_str(), stage.as_str(), version.as_str()),
            ("password", "AWSPREVIOUS", "")
        );
    }

    #[test]
    fn reads_the_names_of_parameters() {
        let name = |text: &str| match SecretReference::parse(text) {
            SecretReference::Parameter { name, .. } => name,
            SecretReference::Secret { .. } => panic!("a secret"),
        };
        let start = "arn:aws:ssm:eu-central-1:111122223333:parameter";
        assert_eq!(name(&format!("{start}/db/password")), "/db/password");
        assert_eq!(name(&format!("{start}/password")), "password");
        assert_eq!(name("/db/password"), "/db/password");
    }
}
