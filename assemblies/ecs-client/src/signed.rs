//! Requests to AWS APIs that have no SDK here, with a signature (AWS Signature Version 4).

use std::time::SystemTime;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use crate::error::Error;

/// Signs requests to one API with the JSON 1.1 protocol.
#[derive(Clone, Debug)]
pub struct RequestSigner {
    service: &'static str,
    region: String,
    endpoint: String,
    credentials: SharedCredentialsProvider,
}

impl RequestSigner {
    /// Creates a signer from the environment; does not call AWS yet.
    ///
    /// `AWS_ENDPOINT_URL_ECR` (the name of the service in capitals) or `AWS_ENDPOINT_URL` replaces the endpoint, and an
    /// empty region is that of the environment.
    ///
    /// # Errors
    ///
    /// Fails if the environment has no credentials or, for an empty `region`, no region.
    pub async fn from_environment(
        service: &'static str,
        region: &str,
        endpoint: &str,
    ) -> Result<Self, Error> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if !region.is_empty() {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let region = config.region().ok_or(Error::MissingRegion)?.to_string();

        let variable = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        let own = std::env::var(variable).ok().filter(|url| !url.is_empty());
        let replaced = own.or_else(|| config.endpoint_url().map(str::to_owned));
        let endpoint = replaced.unwrap_or_else(|| endpoint.to_owned());

        Ok(Self {
            service,
            region,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            credentials: config
                .credentials_provider()
                .ok_or_else(|| missing(service, "the environment has no provider"))?,
        })
    }

    /// Returns a signed request; `target` is the value of `X-Amz-Target`, which names the operation.
    pub async fn request(
        &self,
        target: &str,
        body: String,
    ) -> Result<http::Request<String>, Error> {
        let credentials = self.credentials.provide_credentials().await;
        // The outer message is "an error occurred while loading credentials", without the reason.
        let credentials = credentials.map_err(|error| {
            let source = std::error::Error::source(&error);
            missing(self.service, &source.unwrap_or(&error).to_string())
        })?;

        let invalid = |error: &dyn std::fmt::Display| {
            Error::InvalidRequest(format!(
                "a request to {} cannot be signed: {error}",
                self.service
            ))
        };
        let request = http::Request::post(format!("{}/", self.endpoint))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body)
            .map_err(|error| invalid(&error))?;

        sign_request(request, credentials, &self.region, self.service)
            .map_err(|error| invalid(&error))
    }
}

/// Adds the headers with the signature of a request.
pub(crate) fn sign_request(
    mut request: http::Request<String>,
    credentials: Credentials,
    region: &str,
    signing_name: &str,
) -> Result<http::Request<String>, Box<dyn std::error::Error + Send + Sync>> {
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(signing_name)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();

    let uri = request.uri().to_string();
    let headers = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let content = SignableBody::Bytes(request.body().as_bytes());
    let signable = SignableRequest::new("POST", uri, headers, content)?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();

    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

fn missing(service: &str, detail: &str) -> Error {
    Error::MissingCredentials {
        detail: format!("{service}: {detail}"),
    }
}
