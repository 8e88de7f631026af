//! The HTTP request of a call, with its signature (AWS Signature Version 4).

use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::{endpoint_variant, query};
use crate::api::{Call, Protocol, Service};
use crate::error::Error;
use crate::login::Session;
use crate::signed::sign_request;

/// The endpoint of an API, and what signatures for it name.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The URL without a slash at the end.
    pub(super) url: String,
    region: String,
    signing_name: &'static str,
}

impl Endpoint {
    /// Returns the endpoint of an API: the configured one, else that of the region.
    pub(super) fn resolve(service: Service, session: &Session) -> Result<Self, Error> {
        let region = session.region()?.to_string();
        let (regular, region) = service.endpoint(&region, endpoint_variant(&session.config));
        let url = session.endpoint_url(service.id()).unwrap_or(regular);
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            region,
            signing_name: service.signing_name(),
        })
    }
}

/// Returns the signed request of a call.
pub(super) async fn build(
    call: &Call,
    endpoint: &Endpoint,
    session: &Session,
) -> Result<HttpRequest, Error> {
    let unsigned = unsigned_request(call, endpoint).map_err(|error| invalid(call, &error))?;
    let credentials = session.provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| session.origin.explain(&error))?;

    let signed = sign_request(
        unsigned,
        credentials,
        &endpoint.region,
        endpoint.signing_name,
    );
    let signed = signed.map_err(|error| invalid(call, &error))?;
    HttpRequest::try_from(signed.map(SdkBody::from)).map_err(|error| invalid(call, &error))
}

fn invalid(call: &Call, error: &dyn std::fmt::Display) -> Error {
    let operation = call.operation;
    Error::InvalidRequest(format!("cannot write the request of {operation}: {error}"))
}

fn unsigned_request(
    call: &Call,
    endpoint: &Endpoint,
) -> Result<http::Request<String>, http::Error> {
    let operation = call.operation.as_str();
    let request = http::Request::post(format!("{}/", endpoint.url)).header(
        "user-agent",
        concat!("ecs-client/", env!("CARGO_PKG_VERSION")),
    );

    match call.operation.service().protocol() {
        Protocol::Json(target) => request
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(json_body(call)),
        Protocol::Query(version) => request.header("content-type", FORM).body(query::encode(
            operation,
            version,
            query::Lists::Member,
            &call.body,
        )),
        Protocol::Ec2(version) => request.header("content-type", FORM).body(query::encode(
            operation,
            version,
            query::Lists::Flat,
            &call.body,
        )),
    }
}

/// Returns the body of a request in JSON.
pub(crate) fn json_body(call: &Call) -> String {
    match &call.body {
        // An operation without parameters takes an empty object.
        Value::Null => "{}".to_owned(),
        body => body.to_string(),
    }
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
