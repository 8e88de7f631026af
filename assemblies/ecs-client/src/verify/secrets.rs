//! Secrets and parameters: existence, version, JSON key, encryption key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::check::{Check, CheckGroup, CheckOutcome};
use super::reader::{Answer, Reader, join_all};
use super::request::{RoleKind, VerifyRequest};
use super::secret_reference::SecretReference;
use super::{items, text};
use crate::api::{Api, Operation};

/// Secrets and parameters as they are.
#[derive(Debug)]
pub(super) struct Secrets {
    secrets: BTreeMap<String, Answer>,
    /// The keys of secrets that are JSON objects, never their values.
    keys: BTreeMap<String, Answer>,
    parameters: Answer,
    /// Whether the execution role may decrypt with the key of a secret or parameter.
    decryption: BTreeMap<String, Answer>,
}

/// Returns the references of all containers, with the text they are written as.
fn references(request: &VerifyRequest) -> BTreeMap<&str, SecretReference> {
    let containers = request.definition.container_definitions.iter();
    let secrets = containers.flat_map(|container| {
        let logs = container.log_configuration.iter();
        let options = logs.flat_map(|logs| &logs.secret_options);
        container.secrets.iter().chain(options)
    });
    secrets
        .map(|secret| {
            let text = secret.value_from.as_str();
            (text, SecretReference::parse(text))
        })
        .collect()
}

impl Secrets {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Self {
        let references = references(request);
        let here = references
            .values()
            .filter(|reference| !reference.is_elsewhere(request));
        let (mut arns, mut with_keys) = (BTreeSet::new(), BTreeSet::new());
        let mut names = BTreeSet::new();
        for reference in here {
            match reference {
                SecretReference::Secret { arn, key, .. } => {
                    arns.insert(arn.clone());
                    if !key.is_empty() {
                        with_keys.insert(arn.clone());
                    }
                }
                SecretReference::Parameter { name, .. } => {
                    names.insert(name.clone());
                }
            }
        }

        // DescribeSecret returns no value.
        let secrets = join_all(arns.into_iter().map(async |arn| {
            let body = json!({ "SecretId": arn });
            (arn, reader.ask(Operation::DescribeSecret, body).await)
        }));

        let keys = join_all(with_keys.into_iter().map(async |arn| {
            let body = json!({ "SecretId": arn });
            let answer = reader.ask(Operation::GetSecretValue, body).await;
            (arn, keys_only(answer))
        }));

        let parameters = async {
            if names.is_empty() {
                return Answer::not_asked("no parameters");
            }
            // A name that does not exist is no error here, it is only not in the list.
            let filter = json!({ "Key": "Name", "Option": "Equals", "Values": names });
            let body = json!({ "ParameterFilters": [filter], "MaxResults": 50 });
            let list = "Parameters";
            reader
                .ask_all(Operation::DescribeParameters, body, list)
                .await
        };

        let (secrets, keys, parameters) = tokio::join!(secrets, keys, parameters);
        let mut facts = Self {
            secrets: secrets.into_iter().collect(),
            keys: keys.into_iter().collect(),
            parameters,
            decryption: BTreeMap::new(),
        };

        facts.decryption = facts.ask_about_keys(reader, request).await;
        facts
    }

    /// Asks whether the execution role may use the keys; the keys of AWS need no permission.
    async fn ask_about_keys(
        &self,
        reader: &Reader<'_, impl Api>,
        request: &VerifyRequest,
    ) -> BTreeMap<String, Answer> {
        let secrets = self
            .secrets
            .values()
            .map(|secret| text(secret.value(), "KmsKeyId"));

        let parameters = items(self.parameters.value()).map(|parameter| text(parameter, "KeyId"));
        let keys: BTreeSet<_> = secrets
            .chain(parameters)
            .filter(|key| is_own_key(key))
            .map(str::to_owned)
            .collect();

        let Some(role) = request.role(RoleKind::Execution) else {
            return BTreeMap::new();
        };

        let answers = keys.into_iter().map(async |key| {
            if key.contains("alias/") {
                let reason = format!("the key is {key}, an alias: which key it is, is not read");
                return (key, Answer::not_asked(reason));
            }
            let body = json!({ "PolicySourceArn": role, "ActionNames": ["kms:Decrypt"],
                "ResourceArns": [key_arn(&key, role, &request.region)] });
            let answer = reader.ask(Operation::SimulatePrincipalPolicy, body).await;
            (key, answer)
        });

        join_all(answers).await.into_iter().collect()
    }

    /// Returns a check for each secret and parameter, and for each key of a JSON secret.
    pub(super) fn checks(&self, request: &VerifyRequest) -> Vec<Check> {
        let references = references(request).into_iter();
        let checks = references.map(|(name, reference)| {
            let outcome = if reference.is_elsewhere(request) {
                CheckOutcome::skip(format!("it is in {}", reference.region()))
            } else {
                self.check(&reference)
            };
            Check::new(CheckGroup::Secrets, name, outcome)
        });
        checks.collect()
    }

    fn check(&self, reference: &SecretReference) -> CheckOutcome {
        let (outcome, key) = match reference {
            SecretReference::Secret { arn, .. } => {
                let answer = self.secrets.get(arn);
                let key = answer.map(|answer| text(answer.value(), "KmsKeyId"));
                (self.secret(reference, answer), key.unwrap_or_default())
            }
            SecretReference::Parameter { name, .. } => {
                let found = items(self.parameters.value()).find(|it| it["Name"] == *name);
                let key = found.map(|parameter| text(parameter, "KeyId"));
                (self.parameter(name, found), key.unwrap_or_default())
            }
        };

        // Only for a secret that exists: one cause, one failure.
        match (&outcome, self.decryption.get(key)) {
            (CheckOutcome::Ok(_), Some(answer)) => decryption(key, answer, outcome),
            _ => outcome,
        }
    }

    fn secret(&self, reference: &SecretReference, answer: Option<&Answer>) -> CheckOutcome {
        let SecretReference::Secret {
            arn,
            key,
            stage,
            version,
            ..
        } = reference
        else {
            return CheckOutcome::skip("no secret");
        };

        let secret = match answer {
            Some(Answer::Found(secret)) => secret,
            Some(Answer::Unknown(unknown)) => return unknown.into(),
            Some(Answer::Missing(message)) => {
                return CheckOutcome::fail(
                    message.clone(),
                    "create the secret, or correct the ARN: it ends with six characters that AWS chose",
                );
            }
            None => return CheckOutcome::skip("not read"),
        };

        if !secret["DeletedDate"].is_null() {
            return CheckOutcome::fail(
                "it is scheduled for deletion, and cannot be read",
                format!("aws secretsmanager restore-secret --secret-id {arn}"),
            );
        }

        let versions = secret["VersionIdsToStages"].as_object();
        let stage = if stage.is_empty() {
            "AWSCURRENT"
        } else {
            stage
        };

        let has_stage = |stages: &Value| items(stages).any(|found| found == stage);
        let is_found = versions.is_some_and(|versions| {
            if version.is_empty() {
                versions.values().any(has_stage)
            } else {
                versions.contains_key(version)
            }
        });

        if !is_found {
            let wanted = if version.is_empty() { stage } else { version };
            return CheckOutcome::fail(
                format!("it has no version {wanted}"),
                "write a value (`aws secretsmanager put-secret-value`), or correct the version",
            );
        }

        if key.is_empty() {
            return CheckOutcome::ok(text(secret, "Name"));
        }
        self.json_key(arn, key)
    }

    fn json_key(&self, arn: &str, key: &str) -> CheckOutcome {
        match self.keys.get(arn) {
            Some(Answer::Found(keys)) if items(keys).any(|found| found == key) => {
                CheckOutcome::ok(format!("has the key {key}"))
            }
            Some(Answer::Found(Value::Null)) => CheckOutcome::fail(
                format!("it is no JSON object, so it has no key {key}"),
                "remove the key from the ARN, or write a JSON object",
            ),
            Some(Answer::Found(_)) => CheckOutcome::fail(
                format!("its JSON object has no key {key}"),
                "correct the key, or add it to the secret",
            ),
            Some(Answer::Unknown(unknown)) => unknown.into(),
            Some(Answer::Missing(_)) | None => CheckOutcome::skip("its value was not read"),
        }
    }

    fn parameter(&self, name: &str, found: Option<&Value>) -> CheckOutcome {
        if let Some(unknown) = self.parameters.unknown() {
            return unknown.into();
        }
        match found {
            Some(parameter) => CheckOutcome::ok(text(parameter, "Type")),
            None => CheckOutcome::fail(
                format!("there is no parameter {name}"),
                format!("aws ssm put-parameter --type SecureString --name {name} --value …"),
            ),
        }
    }
}

fn decryption(key: &str, answer: &Answer, outcome: CheckOutcome) -> CheckOutcome {
    match answer {
        Answer::Found(response) if super::policies::denied_actions(response).is_empty() => outcome,
        Answer::Found(_) => CheckOutcome::fail(
            format!("the execution role may not decrypt with {key}"),
            "allow kms:Decrypt of this key in the execution role: `kms_key` in the manifest, or a policy",
        ),
        // A missing role has its own check.
        Answer::Missing(_) => outcome,
        Answer::Unknown(unknown) => unknown.into(),
    }
}

/// Replaces the response with the keys of the secret, so that its values leave memory at once.
fn keys_only(answer: Answer) -> Answer {
    let Answer::Found(response) = answer else {
        return answer;
    };
    let parsed: Option<Value> = response["SecretString"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    let keys = parsed.as_ref().and_then(Value::as_object);
    Answer::Found(match keys {
        Some(keys) => keys.keys().cloned().collect(),
        None => Value::Null,
    })
}

/// Returns whether a key is one of the customer. The keys of AWS let every user of the service in the account decrypt.
fn is_own_key(key: &str) -> bool {
    !key.is_empty() && !key.contains("alias/aws/")
}

/// Returns the ARN of a key, which may be written as its id.
fn key_arn(key: &str, role: &str, region: &str) -> String {
    if key.starts_with("arn:") {
        return key.to_owned();
    }
    let mut parts = role.split(':');
    let partition = parts.nth(1).unwrap_or("aws");
    let account = parts.nth(2).unwrap_or_default();
    format!("arn:{partition}:kms:{region}:{account}:key/{key}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{key_arn, keys_only};
    use crate::verify::reader::Answer;

    #[test]
    fn keeps_only_the_keys_of_a_secret() {
        let keys = |text: &str| keys_only(Answer::Found(json!({ "SecretString": text })));
        let found = keys(r#"{"user":"u","password":"hidden"}"#);
        assert_eq!(found.value(), &json!(["user", "password"]));
        assert!(keys("hidden").value().is_null());
    }

    #[test]
    fn keys_have_the_account_of_the_role() {
        let role = "arn:aws-cn:iam::111122223333:role/x";
        assert_eq!(
            key_arn("k", role, "cn-north-1"),
            "arn:aws-cn:kms:cn-north-1:111122223333:key/k"
        );
    }
}
