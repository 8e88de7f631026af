//! The API of Amazon ECR, for what the registry protocol lacks: logins, repositories, lists and deletion.
//!
//! Requests have the form of the JSON 1.1 protocol; operations and fields are those of the Amazon ECR API Reference,
//! version 2015-09-21.

use std::collections::BTreeSet;
use std::time::Duration;

use ecs_client::RequestSigner;
use registry::{Client, Digest, EcrRegistry, Login};
use serde_json::{Value, json};

use crate::error::CliError;

/// The API of one registry.
#[derive(Debug)]
pub(super) struct Ecr {
    registry: EcrRegistry,
    signer: RequestSigner,
    client: Client,
}

/// What happened to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RepositoryState {
    Created,
    Existing,
}

/// An error response of ECR.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: String,
}

impl Ecr {
    /// Creates the API of a registry, with the AWS credentials of the environment.
    pub(super) async fn new(registry: EcrRegistry, client: Client) -> Result<Self, CliError> {
        let signer =
            RequestSigner::from_environment("ecr", registry.region(), registry.endpoint()).await;
        Ok(Self {
            registry,
            signer: signer.map_err(|error| CliError::Usage(error.to_string()))?,
            client,
        })
    }

    /// Returns a login, which ECR limits to 12 hours.
    pub(super) async fn login(&self) -> Result<Login, CliError> {
        // The token is for every registry that the credentials give access to, whatever its account.
        let answer = self.call("GetAuthorizationToken", json!({})).await?;
        let token = answer.pointer("/authorizationData/0/authorizationToken");
        let login = token.and_then(Value::as_str).and_then(Login::from_basic);
        login.ok_or_else(|| {
            let message = "unexpected response to GetAuthorizationToken: it has no token; check AWS_ENDPOINT_URL_ECR";
            CliError::Refused(message.to_owned())
        })
    }

    /// Creates a repository with immutable tags and scan on push. An existing one is left as it is.
    pub(super) async fn create_repository(&self, name: &str) -> Result<RepositoryState, CliError> {
        // No lifecycle policy: those that count images delete images that run (aws/containers-roadmap#1078).
        let body = json!({
            "registryId": self.registry.account(),
            "repositoryName": name,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": { "scanOnPush": true },
        });
        match self.try_call("CreateRepository", &body).await? {
            Ok(_) => Ok(RepositoryState::Created),
            Err(refusal) if refusal.code == "RepositoryAlreadyExistsException" => {
                Ok(RepositoryState::Existing)
            }
            Err(refusal) => Err(refusal.into_error("CreateRepository")),
        }
    }

    /// Returns the digests of all images of a repository, each once; none if it does not exist.
    pub(super) async fn list_images(&self, name: &str) -> Result<Vec<Digest>, CliError> {
        let mut digests = BTreeSet::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut body = json!({
                "registryId": self.registry.account(),
                "repositoryName": name,
                "maxResults": 1000,
            });
            if let Some(token) = &token {
                body["nextToken"] = json!(token);
            }

            let page = match self.try_call("ListImages", &body).await? {
                Ok(page) => page,
                Err(refusal) if refusal.code == "RepositoryNotFoundException" => {
                    return Ok(Vec::new());
                }
                Err(refusal) => return Err(refusal.into_error("ListImages")),
            };
            let images = page["imageIds"].as_array().into_iter().flatten();
            let found = images.filter_map(|image| image["imageDigest"].as_str()?.parse().ok());
            digests.extend(found);

            token = page["nextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(digests.into_iter().collect());
            }
        }

        let message = format!("the repository `{name}` has more than 10,000 images");
        Err(CliError::Refused(message))
    }

    /// Deletes images with all their tags. Those that do not exist are no error.
    pub(super) async fn delete_images(
        &self,
        name: &str,
        digests: &[Digest],
    ) -> Result<(), CliError> {
        for group in digests.chunks(DELETED_AT_ONCE) {
            let images = group
                .iter()
                .map(|digest| json!({ "imageDigest": digest.as_str() }));
            let body = json!({
                "registryId": self.registry.account(),
                "repositoryName": name,
                "imageIds": images.collect::<Vec<_>>(),
            });
            let answer = self.call("BatchDeleteImage", body).await?;

            let failures = answer["failures"].as_array().into_iter().flatten();
            let mut failures = failures.filter(|failure| failure["failureCode"] != "ImageNotFound");
            if let Some(failure) = failures.next() {
                let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
                let digest = failure.pointer("/imageId/imageDigest");
                return Err(CliError::Refused(format!(
                    "Amazon ECR did not delete {name}@{}: {} ({}); images before it were deleted",
                    digest.and_then(Value::as_str).unwrap_or_default(),
                    text("failureReason"),
                    text("failureCode")
                )));
            }
        }

        Ok(())
    }

    async fn call(&self, operation: &str, body: Value) -> Result<Value, CliError> {
        let answer = self.try_call(operation, &body).await?;
        answer.map_err(|refusal| refusal.into_error(operation))
    }

    /// Sends a request, again while ECR is busy; the inner error is that of ECR.
    async fn try_call(
        &self,
        operation: &str,
        body: &Value,
    ) -> Result<Result<Value, Refusal>, CliError> {
        let mut wait = FIRST_WAIT;
        loop {
            let outcome = self.send(operation, body).await;
            // Throttling has the status 400 (Amazon ECR API Reference, "Common errors").
            let is_temporary = match &outcome {
                Ok((status, Err(refusal))) => {
                    *status == 429 || *status >= 500 || refusal.code.contains("Throttling")
                }
                _ => false,
            };
            if !is_temporary || wait > LAST_WAIT {
                return outcome.map(|(_, answer)| answer);
            }

            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    async fn send(
        &self,
        operation: &str,
        body: &Value,
    ) -> Result<(u16, Result<Value, Refusal>), CliError> {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let request = self.signer.request(&target, body.to_string()).await;
        let request = request.map_err(|error| CliError::Usage(error.to_string()))?;

        let response = self.client.send(request.map(Into::into)).await;
        let response =
            response.map_err(|error| CliError::Refused(format!("{operation}: {error}")))?;
        let status = response.status().as_u16();
        let document = serde_json::from_slice::<Value>(response.body());
        if response.status().is_success() {
            let document = document.map_err(|_| {
                CliError::Refused(format!(
                    "unexpected response to {operation} (HTTP {status}); check that the endpoint is Amazon ECR"
                ))
            })?;
            return Ok((status, Ok(document)));
        }

        Ok((
            status,
            Err(Refusal::from_document(
                status,
                &document.unwrap_or_default(),
            )),
        ))
    }
}

impl Refusal {
    fn from_document(status: u16, document: &Value) -> Self {
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        // `com.amazonaws.ecr#RepositoryNotFoundException`: the namespace is optional.
        let code = text("__type").and_then(|code| code.rsplit('#').next());
        Self {
            code: code.map_or_else(|| format!("HTTP {status}"), str::to_owned),
            message: text("message")
                .or(text("Message"))
                .unwrap_or("no message")
                .chars()
                .filter(|c| !c.is_control())
                .take(300)
                .collect(),
        }
    }

    fn into_error(self, operation: &str) -> CliError {
        let Self { code, message } = self;
        CliError::Refused(format!(
            "Amazon ECR refused {operation}: {message} ({code}); check the permissions and the region"
        ))
    }
}

/// Pages of up to 1,000 images.
const MAX_PAGES: usize = 10;
/// The limit of BatchDeleteImage (Amazon ECR API Reference).
const DELETED_AT_ONCE: usize = 100;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_millis(1_600);
