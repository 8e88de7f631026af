//! Sends the calls of all APIs but ECS over HTTPS: signs them, repeats them after faults, and reads the responses.
//!
//! | file | does |
//! |---|---|
//! | `request` | the HTTP request of a call, with its signature |
//! | `response` | the body or the error of a response, also of ECS |
//! | `limit` | the limit for the size of a response |
//! | `query` | forms of the query protocol |
//! | `xml` | the XML of its responses as JSON |
//!
//! The SDK provides the connections (`aws-smithy-runtime`: TLS, proxies, timeouts) and the credentials. The generated
//! clients of these APIs are not used: a few operations do not justify minutes of compilation (`aws-sdk-ec2`).

use std::convert::Infallible;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime::client::defaults::default_http_client_plugin_v2;
use aws_smithy_runtime::client::orchestrator::operation::Operation as HttpOperation;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin as _;
use http_body_util::LengthLimitError;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::api::{Call, Operation, Service};
use crate::backoff::Backoff;
use crate::error::{Error, chain, root_cause};
use crate::login::{Origin, Session, timeouts};

mod limit;
mod query;
mod request;
mod response;
mod xml;

pub(crate) use limit::LimitedResponse;
use limit::MAX_RESPONSE_BYTES;
use request::Endpoint;
pub(crate) use request::json_body;
pub(crate) use response::RawResponse;

/// Sends calls to all APIs with the credentials of one session.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: SharedHttpClient,
    session: Arc<Session>,
}

impl Transport {
    pub(crate) fn new(session: Session) -> Result<Self, Error> {
        let http = session.config.http_client().or_else(default_client);
        let http = http.ok_or_else(|| {
            Error::InvalidRequest("the SDK was built without an HTTPS client".to_owned())
        })?;
        Ok(Self {
            http,
            session: Arc::new(session),
        })
    }

    /// Returns the connections.
    pub(crate) fn http(&self) -> SharedHttpClient {
        self.http.clone()
    }

    /// Returns the URL of the endpoint of an API.
    pub(crate) fn endpoint(&self, service: Service) -> Result<String, Error> {
        Ok(Endpoint::resolve(service, &self.session)?.url)
    }

    /// Sends a call, and sends it again after faults and throttling.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value, Error> {
        let endpoint = Endpoint::resolve(call.operation.service(), &self.session)?;
        // As the operation timeout of the SDK: all attempts together.
        let end = Instant::now() + CALL_TIMEOUT;
        let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
        let mut attempt = 1;

        loop {
            let failure = match self.attempt(call, &endpoint).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };

            // AWS refills the budget of calls by the second, so a quick attempt would be refused as well.
            let delay = backoff.next().max(if failure.is_throttling() {
                THROTTLING_DELAY
            } else {
                Duration::ZERO
            });
            let is_last = attempt == ATTEMPTS || Instant::now() + delay > end;
            if is_last || !failure.may_be_repeated(call) {
                return Err(failure);
            }
            sleep(delay).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call, endpoint: &Endpoint) -> Result<Value, Error> {
        let request = request::build(call, endpoint, &self.session).await?;
        let response = self.send(call, endpoint, request).await?;
        response.read(call.operation, &self.session.origin)
    }

    /// Sends a request and returns the response, whatever its status.
    async fn send(
        &self,
        call: &Call,
        endpoint: &Endpoint,
        request: HttpRequest,
    ) -> Result<RawResponse, Error> {
        let operation = HttpOperation::builder()
            .service_name(call.operation.service().as_str())
            .operation_name(call.operation.as_str())
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .endpoint_url(&endpoint.url)
            // The signature is part of the request, and `call` repeats it.
            .no_auth()
            .no_retry()
            .timeout_config(timeouts())
            .with_connection_poisoning()
            .interceptor(LimitedResponse)
            .serializer(|request: HttpRequest| Ok(request))
            .deserializer::<_, Infallible>(|response: &HttpResponse| Ok(RawResponse::new(response)))
            .build();

        operation
            .invoke(request)
            .await
            .map_err(|error| failure(call.operation, &error, &self.session.origin))
    }
}

/// Converts an error of a call without a complete response.
pub(crate) fn failure(
    operation: Operation,
    error: &(dyn StdError + 'static),
    origin: &Origin,
) -> Error {
    if chain(error).any(<dyn StdError>::is::<LengthLimitError>) {
        return Error::ResponseTooLarge {
            operation,
            max_bytes: MAX_RESPONSE_BYTES,
        };
    }

    // Credentials that cannot be renewed during a long wait.
    if let Some(error) = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
        return origin.explain(error);
    }

    Error::Unreachable {
        operation,
        detail: root_cause(error),
    }
}

/// Returns the SDK's own HTTPS client, which it uses if none is configured.
fn default_client() -> Option<SharedHttpClient> {
    let plugin = default_http_client_plugin_v2(BehaviorVersion::latest())?;
    let none = RuntimeComponentsBuilder::new("none");
    plugin.runtime_components(&none).http_client()
}

/// Returns whether the configuration asks for another kind of endpoint.
fn endpoint_variant(config: &SdkConfig) -> crate::api::EndpointVariant {
    use crate::api::EndpointVariant;
    match (config.use_fips(), config.use_dual_stack()) {
        (Some(true), _) => EndpointVariant::Fips,
        (_, Some(true)) => EndpointVariant::DualStack,
        _ => EndpointVariant::Regular,
    }
}

const ATTEMPTS: u32 = 3;
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Each further delay is 1.5 times as long; all are shortened at random.
const FIRST_DELAY: Duration = Duration::from_millis(400);
const MAX_DELAY: Duration = Duration::from_secs(5);
const THROTTLING_DELAY: Duration = Duration::from_secs(1);
