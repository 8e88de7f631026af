//! S3 without the AWS SDK: URLs, task credentials, signatures.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use chassis::http::client::Client;
use chassis::http::read_limited;
use http::{Request, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::client::send;
use crate::location::Object;
use crate::{Error, ErrorKind};

/// The region, endpoint and credentials of S3, from the standard `AWS_*` variables.
#[derive(Debug, Clone)]
pub struct Aws {
    region: String,
    endpoint: Option<String>,
    credentials: Arc<CredentialSource>,
}

impl Aws {
    /// Reads the standard variables; `variable` returns the value of one.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
        let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
        Self {
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
            credentials: Arc::new(CredentialSource::from_variables(set)),
        }
    }

    /// Returns the URL of an object.
    ///
    /// Uses virtual-hosted style for AWS if the wildcard certificate covers the bucket name, and path
    /// style otherwise.
    pub(crate) fn object_uri(&self, object: &Object) -> Result<Uri, Error> {
        let Object { bucket, key } = object;
        let region = &self.region;
        let key = utf8_percent_encode(key, KEY_ENCODE_SET);
        let uri = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
            None if bucket.contains(['.', '_']) => {
                format!("https://s3.{region}.amazonaws.com/{bucket}/{key}")
            }
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        };

        uri.parse().map_err(|error| {
            Error::new(ErrorKind::Usage, format!("invalid S3 URL `{uri}`")).with_source(error)
        })
    }

    /// Returns a signer; `client` fetches the credentials, so it must allow any address.
    pub(crate) fn signer(&self, client: &Client) -> Signer {
        Signer {
            aws: self.clone(),
            client: client.clone(),
        }
    }
}

impl Default for Aws {
    /// Returns the defaults: no credentials, and the region `us-east-1`.
    fn default() -> Self {
        Self::from_variables(|_| None)
    }
}

/// Signs requests to S3.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    aws: Aws,
    client: Client,
}

impl Signer {
    /// Adds the signature headers.
    pub(crate) async fn sign(&self, request: &mut Request<Bytes>) -> Result<(), Error> {
        let credentials = self.aws.credentials.current(&self.client).await?;
        sign_at(request, &self.aws.region, credentials, SystemTime::now())
    }
}

fn sign_at(
    request: &mut Request<Bytes>,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<(), Error> {
    let signing_error = |error: String| {
        Error::new(ErrorKind::SourceDenied, "cannot sign the request to S3").with_source(error)
    };

    // S3 differs from other services: the path is encoded once and not normalized, and the hash of
    // the payload is a header (AWS Signature Version 4 for S3).
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;

    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| signing_error(error.to_string()))?
        .into();

    let uri = request.uri().to_string();
    let headers = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, body)
        .map_err(|error| signing_error(error.to_string()))?;
    let (instructions, _) = sign(signable, &parameters)
        .map_err(|error| signing_error(error.to_string()))?
        .into_parts();

    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// The source of credentials.
#[derive(Debug)]
enum CredentialSource {
    Fixed(Credentials),
    /// The task role, from the ECS credentials endpoint.
    TaskCredentials(Box<TaskCredentials>),
    Missing,
}

#[derive(Debug)]
struct TaskCredentials {
    endpoint: String,
    token: Option<String>,
    token_file: Option<String>,
    latest: Mutex<Option<(Credentials, Instant)>>,
}

impl CredentialSource {
    fn from_variables(set: impl Fn(&str) -> Option<String>) -> Self {
        if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
            let token = set("AWS_SESSION_TOKEN");
            return Self::Fixed(Credentials::new(id, secret, token, None, "environment"));
        }

        // The order of the AWS SDKs: static keys first, then the container endpoint.
        let relative = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let endpoint = relative
            .map(|path| format!("http://{TASK_CREDENTIALS}{path}"))
            .or_else(|| set("AWS_CONTAINER_CREDENTIALS_FULL_URI"));

        match endpoint {
            Some(endpoint) => Self::TaskCredentials(Box::new(TaskCredentials {
                endpoint,
                token: set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
                token_file: set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
                latest: Mutex::new(None),
            })),
            None => Self::Missing,
        }
    }

    async fn current(&self, client: &Client) -> Result<Credentials, Error> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::TaskCredentials(task) => task.current(client).await,
            Self::Missing => Err(Error::new(
                ErrorKind::SourceDenied,
                "no credentials for S3; assign a task role, or set AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY",
            )),
        }
    }
}

impl TaskCredentials {
    async fn current(&self, client: &Client) -> Result<Credentials, Error> {
        // Held across the await on purpose: one caller fetches, the others wait for its result.
        let mut latest = self.latest.lock().await;
        if let Some((credentials, since)) = &*latest
            && since.elapsed() < CREDENTIALS_TTL
        {
            return Ok(credentials.clone());
        }

        let credentials = self.fetch(client).await.map_err(|error| {
            Error::new(ErrorKind::SourceDenied, "cannot fetch the task credentials")
                .with_source(error.chain())
        })?;

        *latest = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }

    async fn fetch(&self, client: &Client) -> Result<Credentials, Error> {
        let invalid = |error: String| Error::new(ErrorKind::SourceDenied, error);
        let uri: Uri = self
            .endpoint
            .parse()
            .map_err(|error| invalid(format!("{error}")))?;

        if !is_trusted_endpoint(&uri) {
            return Err(invalid(
                "http is allowed only for loopback and the ECS and EKS endpoints".into(),
            ));
        }

        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        if let Some(token) = self.token()? {
            let token = token
                .trim()
                .parse()
                .map_err(|_| invalid("the authorization token is not a valid header".into()))?;
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }

        let response = send(client, request, REQUEST_TIMEOUT).await?;
        if !response.status().is_success() {
            return Err(invalid(format!(
                "the endpoint returned {}",
                response.status()
            )));
        }

        let body = read_limited(response.into_body(), MAX_RESPONSE_BYTES);
        let body = tokio::time::timeout(REQUEST_TIMEOUT, body)
            .await
            .map_err(|_| invalid("timed out reading the response".into()))?
            .map_err(|error| invalid(error.to_string()))?;
        let response_body: CredentialsResponse = serde_json::from_slice(&body)
            .map_err(|_| invalid("the response contains no credentials".into()))?;
        let CredentialsResponse {
            access_key_id,
            secret_access_key,
            token,
        } = response_body;

        Ok(Credentials::new(
            access_key_id,
            secret_access_key,
            token,
            None,
            "task",
        ))
    }

    fn token(&self) -> Result<Option<String>, Error> {
        // EKS rotates the token file, so it is read each time.
        match &self.token_file {
            Some(path) => std::fs::read_to_string(path).map(Some).map_err(|error| {
                Error::new(ErrorKind::SourceDenied, "cannot read the token file").with_source(error)
            }),
            None => Ok(self.token.clone()),
        }
    }
}

/// Returns whether credentials may be fetched from a URL: https, loopback, or the ECS and EKS
/// endpoints.
fn is_trusted_endpoint(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("https")
        || is_loopback
        || [TASK_CREDENTIALS, POD_CREDENTIALS].contains(&host)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialsResponse {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

/// The credentials endpoint of ECS: a link-local address, the same in every task.
const TASK_CREDENTIALS: &str = "169.254.170.2";
/// The credentials endpoint of EKS Pod Identity.
const POD_CREDENTIALS: &str = "169.254.170.23";
/// ECS renews credentials long before they expire, so this interval is always short enough.
const CREDENTIALS_TTL: Duration = Duration::from_mins(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// Characters to encode in a key: all but the unreserved ones (RFC 3986) and `/`.
const KEY_ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(variables: &'static [(&'static str, &'static str)]) -> Aws {
        Aws::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn object(bucket: &str, key: &str) -> Object {
        Object {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    #[test]
    fn builds_object_urls() {
        let here = aws(&[("AWS_REGION", "eu-west-1")]);
        assert_eq!(
            here.object_uri(&object("videos", "a b/ü+1.mp4")).unwrap(),
            "https://videos.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B1.mp4"
        );
        assert_eq!(
            // A dot in the name is not covered by `*.s3.REGION.amazonaws.com`.
            here.object_uri(&object("videos.example.com", "a")).unwrap(),
            "https://s3.eu-west-1.amazonaws.com/videos.example.com/a"
        );

        let local = aws(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/")]);
        assert_eq!(
            local.object_uri(&object("videos", "a")).unwrap(),
            "http://127.0.0.1:9000/videos/a"
        );
    }

    #[test]
    fn trusts_only_https_loopback_and_aws_endpoints() {
        for good in [
            "http://169.254.170.2/v2/credentials/1",
            "http://127.0.0.1:51679/a",
            "http://[::1]/a",
            "https://credentials.example.com/a",
        ] {
            assert!(is_trusted_endpoint(&Uri::from_static(good)), "{good}");
        }

        assert!(!is_trusted_endpoint(&Uri::from_static(
            "http://credentials.example.com/a"
        )));
        assert!(!is_trusted_endpoint(&Uri::from_static("http://10.0.0.1/a")));
    }

    /// The example "GET Object" of the S3 documentation on Signature Version 4.
    #[test]
    fn computes_the_signature_of_the_documented_example() {
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "test",
        );

        let mut request = Request::get("https://examplebucket.s3.amazonaws.com/test.txt")
            .header(header::RANGE, "bytes=0-9")
            .body(Bytes::new())
            .unwrap();
        // 2013-05-24T00:00:00Z, the time of the example.
        let then = SystemTime::UNIX_EPOCH + Duration::from_hours(380_376);

        sign_at(&mut request, "us-east-1", credentials, then).unwrap();
        let signature = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        assert!(
            signature.ends_with(
                "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            "{signature}"
        );
    }
}
