//! A fake of the services that credentials come from: IAM Identity Center, STS, and the metadata of containers and
//! instances.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

/// The services, on one port. Each request is recorded as `METHOD path body`.
pub(crate) struct FakeIdentity {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeIdentity {
    /// Starts the server; its thread ends with the process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let recorded = Arc::clone(&requests);

        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else {
                    continue;
                };
                let (status, kind, body) = respond(&request);
                recorded.lock().unwrap().push(format!(
                    "{} {}",
                    request.line.trim_end_matches(" HTTP/1.1"),
                    request.body
                ));
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
                     connection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });

        Self { url, requests }
    }

    /// Returns the requests whose text contains all words.
    pub(crate) fn count(&self, words: &[&str]) -> usize {
        let requests = self.requests.lock().unwrap();
        let matches = |request: &&String| words.iter().all(|word| request.contains(word));
        requests.iter().filter(matches).count()
    }

    /// Returns all requests, for messages of tests.
    pub(crate) fn log(&self) -> String {
        self.requests.lock().unwrap().join("\n")
    }
}

struct Request {
    line: String,
    /// The bearer token of IAM Identity Center, and the `authorization` header.
    token: String,
    authorization: String,
    body: String,
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut token, mut authorization, mut length) = (String::new(), String::new(), 0);

    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 {
            return None;
        }
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ")?;
        match name.to_lowercase().as_str() {
            "x-amz-sso_bearer_token" => value.clone_into(&mut token),
            "authorization" => value.clone_into(&mut authorization),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }

    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: line.trim_end().to_owned(),
        token,
        authorization,
        body: String::from_utf8(body).ok()?,
    })
}

const JSON: &str = "application/json";
const XML: &str = "text/xml";
/// The lifetime of a token of IMDSv2 is in a header.
const IMDS_TOKEN: &str = "text/plain\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600";

fn respond(request: &Request) -> (u16, &'static str, String) {
    let path = request.line.split(' ').nth(1).unwrap_or_default();
    // The keys name their source, so that a test sees where credentials came from.
    let keys = |source: &str| {
        json!({ "AccessKeyId": format!("AKID{source}"), "SecretAccessKey": SECRET, "Token": "session",
            "Expiration": "2099-01-01T00:00:00Z", "Code": "Success" })
        .to_string()
    };

    match path {
        _ if path.starts_with("/federation/credentials") => portal(request, path),
        // A new token for a refresh token.
        "/token" => (
            200,
            JSON,
            json!({ "accessToken": "renewed", "expiresIn": 3600 }).to_string(),
        ),
        "/container" => (200, JSON, keys("CONTAINER")),
        "/latest/api/token" => (200, IMDS_TOKEN, "imds-token".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => (200, "text/plain", "instance".to_owned()),
        "/latest/meta-data/iam/security-credentials/instance" => (200, JSON, keys("INSTANCE")),
        _ => sts(request),
    }
}

/// Responds as the portal of IAM Identity Center.
fn portal(request: &Request, path: &str) -> (u16, &'static str, String) {
    if path.contains("role_name=Unassigned") {
        let body = json!({ "__type": "ForbiddenException", "message": "No access" });
        return (403, JSON, body.to_string());
    }
    if !matches!(request.token.as_str(), "valid" | "renewed") {
        let body = json!({ "__type": "UnauthorizedException", "message": "Session token not found or invalid" });
        return (401, JSON, body.to_string());
    }
    let body = json!({ "roleCredentials": { "accessKeyId": "AKIDSSO", "secretAccessKey": SECRET,
        "sessionToken": "session", "expiration": 4_070_908_800_000_u64 } });
    (200, JSON, body.to_string())
}

/// Responds as STS, with the access key of the caller as its account.
fn sts(request: &Request) -> (u16, &'static str, String) {
    let key = request
        .authorization
        .split_once("Credential=")
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or("none");
    let action = request
        .body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="))
        .unwrap_or_default();

    if key == "AKIDEXPIRED" {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>";
        return (403, XML, body.to_owned());
    }
    if action == "GetCallerIdentity" {
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/{key}</Arn>\
             <UserId>{key}</UserId><Account>{key}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        return (200, XML, body);
    }

    if request.body.contains("Refused") {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
        return (403, XML, body.to_owned());
    }

    // AssumeRole and AssumeRoleWithWebIdentity.
    let body = format!(
        "<{action}Response><{action}Result><Credentials><AccessKeyId>AKIDROLE</AccessKeyId>\
         <SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>session</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>\
         <Arn>arn:aws:sts::111122223333:assumed-role/x/y</Arn><AssumedRoleId>A:y</AssumedRoleId>\
         </AssumedRoleUser></{action}Result></{action}Response>"
    );
    (200, XML, body)
}

/// The secret of all credentials, which no message may contain.
pub(crate) const SECRET: &str = "wJalrXUtnFEMIsecret";
