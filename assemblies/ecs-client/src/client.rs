//! The API client.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_ecs::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_ecs::config::http::HttpRequest;
use aws_smithy_types::Document;
use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::document::{ResponseDocument, send};
use crate::error::Error;
use crate::login::{Login, Origin, Session};

/// A client for ECS, and for the calls of STS and CloudWatch Logs that go with it, in one region.
#[derive(Debug, Clone)]
pub struct Client {
    ecs: aws_sdk_ecs::Client,
    sts: aws_sdk_sts::Client,
    logs: LogsEndpoint,
    region: String,
    endpoint: Option<String>,
    origin: Origin,
}

impl Client {
    /// Creates a client from the environment: `AWS_REGION`, `AWS_PROFILE`, keys, roles, and
    /// `AWS_ENDPOINT_URL` for an emulator. Gets credentials at once.
    pub async fn from_environment() -> Result<Self, Error> {
        Self::log_in(&Login::default()).await
    }

    /// Creates a client with a chosen profile, region or endpoint. Gets credentials at once, so that the error is not
    /// that of a later call.
    pub async fn log_in(login: &Login) -> Result<Self, Error> {
        Self::from_session(&login.connect().await?)
    }

    /// Creates a client for an emulator such as moto, with dummy credentials.
    pub async fn emulator(url: &str) -> Result<Self, Error> {
        let login = Login {
            profile: None,
            region: Some("eu-central-1".to_owned()),
            endpoint_url: Some(url.to_owned()),
        };

        let mut session = login.load().await?;
        let credentials = Credentials::new("emulator", "emulator", None, None, "emulator");
        session.config = session
            .config
            .into_builder()
            .credentials_provider(
                aws_credential_types::provider::SharedCredentialsProvider::new(credentials),
            )
            .build();
        Self::from_session(&session)
    }

    fn from_session(session: &Session) -> Result<Self, Error> {
        let endpoint = session.endpoint_url();
        let region = session.region()?.to_string();
        Ok(Self {
            ecs: aws_sdk_ecs::Client::new(&session.config),
            sts: aws_sdk_sts::Client::new(&session.config),
            logs: LogsEndpoint::new(&session.config, &region),
            region,
            endpoint,
            origin: session.origin.clone(),
        })
    }

    /// Returns the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns whether the endpoint is on this host: an emulator, which has no accounts.
    pub fn is_emulator(&self) -> bool {
        self.endpoint.as_deref().is_some_and(is_loopback)
    }

    async fn identity(&self) -> Result<Value, Error> {
        // STS speaks XML, and has no document of a user to keep, so the typed call of its SDK is enough.
        let called = Operation::GetCallerIdentity;
        let output = self
            .sts
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| Error::from_sdk(called, error, &self.origin))?;
        Ok(json!({ "Account": output.account(), "Arn": output.arn(), "UserId": output.user_id() }))
    }
}

/// Sends a call with the SDK, which signs it and repeats it after faults. The request is the body as it is.
macro_rules! send {
    ($client:expr, $call:expr, $builder:expr) => {{
        let response = ResponseDocument::default();
        $builder
            .customize()
            .mutate_request(send($call.body.to_string()))
            .interceptor(response.clone())
            .send()
            .await
            .map_err(|error| Error::from_sdk($call.operation, error, &$client.origin))?;
        response
    }};
}

impl Api for Client {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        let response = match call.operation {
            Operation::GetCallerIdentity => return self.identity().await,
            Operation::DescribeTaskDefinition => {
                send!(self, call, self.ecs.describe_task_definition())
            }
            Operation::RegisterTaskDefinition => {
                send!(self, call, self.ecs.register_task_definition())
            }
            Operation::ListTaskDefinitionFamilies => {
                send!(self, call, self.ecs.list_task_definition_families())
            }
            Operation::ListTaskDefinitions => {
                send!(self, call, self.ecs.list_task_definitions())
            }
            Operation::ListClusters => {
                send!(self, call, self.ecs.list_clusters())
            }
            Operation::ListServices => {
                send!(self, call, self.ecs.list_services())
            }
            Operation::DescribeServices => {
                send!(self, call, self.ecs.describe_services())
            }
            Operation::ListServiceDeployments => {
                send!(self, call, self.ecs.list_service_deployments())
            }
            Operation::DescribeServiceRevisions => {
                send!(self, call, self.ecs.describe_service_revisions())
            }
            Operation::RunTask => send!(self, call, self.ecs.run_task()),
            Operation::DescribeTasks => send!(self, call, self.ecs.describe_tasks()),
            Operation::StopTask => send!(self, call, self.ecs.stop_task()),
            Operation::GetLogEvents => self.logs_call(call).await?,
        };

        // HTTP 200 without JSON is not a response of the API.
        response.take().ok_or(Error::UnexpectedResponse {
            service: call.operation.service(),
            operation: call.operation.as_str(),
            status: 200,
        })
    }
}

impl Client {
    /// Sends a call to CloudWatch Logs with the ECS client: both APIs are AWS JSON 1.1, and the SDK for logs takes
    /// 40 s to compile. The endpoint has the name that the signature needs.
    async fn logs_call(&self, call: &Call) -> Result<ResponseDocument, Error> {
        let response = ResponseDocument::default();
        let target = format!("Logs_20140328.{}", call.operation.as_str());
        let body = send(call.body.to_string());
        let config = aws_sdk_ecs::config::Builder::new().endpoint_resolver(self.logs.clone());
        // Any operation will do: the target, the body and the endpoint are replaced. The response of this one has no
        // required members.
        self.ecs
            .list_tags_for_resource()
            .customize()
            .config_override(config)
            .mutate_request(move |request: &mut HttpRequest| {
                request.headers_mut().insert("x-amz-target", target.clone());
                body(request);
            })
            .interceptor(response.clone())
            .send()
            .await
            .map_err(|error| Error::from_sdk(call.operation, error, &self.origin))?;
        Ok(response)
    }
}

/// Resolves every call to the endpoint of CloudWatch Logs.
#[derive(Debug, Clone)]
struct LogsEndpoint {
    url: String,
    region: String,
}

impl LogsEndpoint {
    fn new(config: &SdkConfig, region: &str) -> Self {
        // The regions of China have a domain of their own.
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let regular = || format!("https://logs.{region}.amazonaws.com{suffix}");
        let url = config.endpoint_url().map_or_else(regular, str::to_owned);
        let region = region.to_owned();
        Self { url, region }
    }
}

impl ResolveEndpoint for LogsEndpoint {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        // The names are those of the endpoint rules of the SDKs ("authSchemes" in smithy's endpoint specification).
        let text = |text: &str| Document::String(text.to_owned());
        let scheme = HashMap::from([
            ("name".to_owned(), text("sigv4")),
            ("signingName".to_owned(), text("logs")),
            ("signingRegion".to_owned(), text(&self.region)),
        ]);
        let endpoint = Endpoint::builder()
            .url(self.url.clone())
            .property("authSchemes", vec![Document::Object(scheme)])
            .build();
        EndpointFuture::ready(Ok(endpoint))
    }
}

/// Returns whether a URL is on this host.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };

    let is_address = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());

    is_address || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn recognises_endpoints_on_this_host() {
        for url in [
            "http://127.0.0.1:5055",
            "http://localhost/",
            "http://[::1]:1",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(url), "{url}");
        }

        for url in [
            "https://ecs.eu-central-1.amazonaws.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com/",
            "https://example.com/?127.0.0.1",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
