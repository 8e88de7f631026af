//! S3 without its SDK: addresses, credentials of the task, signatures.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::client::{Network, Reach};
use crate::location::Object;
use crate::{Error, Kind};

/// How to reach S3, as the standard `AWS_*` variables say it.
#[derive(Debug, Clone)]
pub struct Aws {
    region: String,
    endpoint: Option<String>,
    credentials: Arc<Source>,
}

impl Aws {
    /// Reads the standard variables through `variable`, which gives the value of one.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
        let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
        Self {
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
            credentials: Arc::new(Source::from_variables(set)),
        }
    }

    /// The address of an object.
    ///
    /// The bucket stands in the host name where S3 itself is asked and its certificate covers
    /// that name; else in the path.
    pub(crate) fn address(&self, object: &Object) -> Result<Uri, Error> {
        let Object { bucket, key } = object;
        let region = &self.region;
        let key = utf8_percent_encode(key, IN_KEYS);
        let address = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
            None if bucket.contains(['.', '_']) => {
                format!("https://s3.{region}.amazonaws.com/{bucket}/{key}")
            }
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        };

        address.parse().map_err(|error| {
            Error::new(Kind::Usage, format!("`{address}` is no address of S3")).because(error)
        })
    }

    pub(crate) fn signer(&self, network: &Network) -> Signer {
        Signer {
            aws: self.clone(),
            network: network.reaching(Reach::Everywhere),
        }
    }
}

/// Signs requests to S3.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    aws: Aws,
    network: Network,
}

impl Signer {
    /// Adds the headers that prove who asks.
    pub(crate) async fn sign(&self, request: &mut Request<Bytes>) -> Result<(), Error> {
        let credentials = self.aws.credentials.current(&self.network).await?;
        sign_at(request, &self.aws.region, credentials, SystemTime::now())
    }
}

fn sign_at(
    request: &mut Request<Bytes>,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<(), Error> {
    let unsignable = |error: String| {
        Error::new(Kind::SourceDenied, "the request to S3 cannot be signed").because(error)
    };

    // S3 wants the path as it is and the payload's hash in a header.
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
        .map_err(|error| unsignable(error.to_string()))?
        .into();

    let uri = request.uri().to_string();
    let headers = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, body)
        .map_err(|error| unsignable(error.to_string()))?;
    let (instructions, _) = sign(signable, &parameters)
        .map_err(|error| unsignable(error.to_string()))?
        .into_parts();

    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// Where credentials come from.
#[derive(Debug)]
enum Source {
    Fixed(Credentials),
    /// The task role's, from an address that ECS gives.
    Task(Box<Task>),
    Missing,
}

#[derive(Debug)]
struct Task {
    address: String,
    token: Option<String>,
    token_file: Option<String>,
    latest: Mutex<Option<(Credentials, Instant)>>,
}

impl Source {
    fn from_variables(set: impl Fn(&str) -> Option<String>) -> Self {
        if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
            let token = set("AWS_SESSION_TOKEN");
            return Self::Fixed(Credentials::new(id, secret, token, None, "environment"));
        }

        let relative = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let address = relative
            .map(|path| format!("http://{TASK_CREDENTIALS}{path}"))
            .or_else(|| set("AWS_CONTAINER_CREDENTIALS_FULL_URI"));

        match address {
            Some(address) => Self::Task(Box::new(Task {
                address,
                token: set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
                token_file: set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
                latest: Mutex::new(None),
            })),
            None => Self::Missing,
        }
    }

    async fn current(&self, network: &Network) -> Result<Credentials, Error> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Task(task) => task.current(network).await,
            Self::Missing => Err(Error::new(
                Kind::SourceDenied,
                "there are no credentials for S3; give the task a role, or set AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY",
            )),
        }
    }
}

impl Task {
    async fn current(&self, network: &Network) -> Result<Credentials, Error> {
        // Held across the wait on purpose: one caller asks, the others wait for its answer.
        let mut latest = self.latest.lock().await;
        if let Some((credentials, since)) = &*latest
            && since.elapsed() < KEPT
        {
            return Ok(credentials.clone());
        }

        let credentials = self.ask(network).await.map_err(|error| {
            Error::new(
                Kind::SourceDenied,
                "the credentials of the task cannot be had",
            )
            .because(error.chain())
        })?;

        *latest = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }

    async fn ask(&self, network: &Network) -> Result<Credentials, Error> {
        let wrong = |error: String| Error::new(Kind::SourceDenied, error);
        let uri: Uri = self
            .address
            .parse()
            .map_err(|error| wrong(format!("{error}")))?;

        if !may_be_asked(&uri) {
            return Err(wrong(
                "over http only this task's own addresses are asked".into(),
            ));
        }

        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        if let Some(token) = self.token()? {
            let token = token
                .trim()
                .parse()
                .map_err(|_| wrong("the token is unusable".into()))?;
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }

        let mut client = network.client();
        let response = client.send(&request, PATIENCE).await?;
        if !response.status().is_success() {
            return Err(wrong(format!("the answer is {}", response.status())));
        }

        let body = Limited::new(response.into_body(), LONGEST_ANSWER);
        let body = tokio::time::timeout(PATIENCE, body.collect())
            .await
            .map_err(|_| wrong("the answer does not end".into()))?
            .map_err(|error| wrong(error.to_string()))?;
        let answer: Answer = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| wrong("the answer holds no credentials".into()))?;
        let Answer {
            access_key_id,
            secret_access_key,
            token,
        } = answer;

        Ok(Credentials::new(
            access_key_id,
            secret_access_key,
            token,
            None,
            "task",
        ))
    }

    fn token(&self) -> Result<Option<String>, Error> {
        // The file may be written anew at any time: it is read each time.
        match &self.token_file {
            Some(path) => std::fs::read_to_string(path).map(Some).map_err(|error| {
                Error::new(Kind::SourceDenied, "the token file cannot be read").because(error)
            }),
            None => Ok(self.token.clone()),
        }
    }
}

/// Whether secrets may come from there: sealed, from this machine, or from where ECS and EKS keep
/// them.
fn may_be_asked(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("https")
        || is_here
        || [TASK_CREDENTIALS, POD_CREDENTIALS].contains(&host)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

/// The address of the task's credentials on ECS: link-local, the same in every task.
const TASK_CREDENTIALS: &str = "169.254.170.2";
/// The address of a pod's credentials on EKS.
const POD_CREDENTIALS: &str = "169.254.170.23";
/// ECS renews credentials hours before they end; asking again this often is always early enough.
const KEPT: Duration = Duration::from_mins(5);
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: usize = 64 * 1024;
/// S3 wants everything encoded in a key but this.
const IN_KEYS: &AsciiSet = &NON_ALPHANUMERIC
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
    fn an_object_has_an_address_in_its_region() {
        let here = aws(&[("AWS_REGION", "eu-west-1")]);
        assert_eq!(
            here.address(&object("films", "a b/ü+1.mp4")).unwrap(),
            "https://films.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%2B1.mp4"
        );
        assert_eq!(
            here.address(&object("films.example.com", "a")).unwrap(),
            "https://s3.eu-west-1.amazonaws.com/films.example.com/a"
        );

        let local = aws(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/")]);
        assert_eq!(
            local.address(&object("films", "a")).unwrap(),
            "http://127.0.0.1:9000/films/a"
        );
    }

    #[test]
    fn credentials_come_from_near_or_sealed() {
        for good in [
            "http://169.254.170.2/v2/credentials/1",
            "http://127.0.0.1:51679/a",
            "http://[::1]/a",
            "https://credentials.example.com/a",
        ] {
            assert!(may_be_asked(&Uri::from_static(good)), "{good}");
        }

        assert!(!may_be_asked(&Uri::from_static(
            "http://credentials.example.com/a"
        )));
        assert!(!may_be_asked(&Uri::from_static("http://10.0.0.1/a")));
    }

    /// The example that the S3 documentation works out by hand ("GET Object" with a range).
    #[test]
    fn a_signature_is_that_of_the_documented_example() {
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
