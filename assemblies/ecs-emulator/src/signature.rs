//! Verifies Signature Version 4.
//!
//! The signature is computed again from the headers that the client lists as signed, so the verifier follows the
//! client's choice of headers (AWS IAM User Guide, "Create a signed AWS API request").

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use crate::api_error::ApiError;
use crate::hex::hex;
use crate::keys::Keys;
use crate::time::basic_format;

/// The part of a request that is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// The name of the service in the credential scope: `ecs`, `sts` …
    pub(crate) service: &'a str,
    /// The region in the credential scope; `None` accepts every region.
    pub(crate) region: Option<&'a str>,
}

/// Verifies the signature of a POST request to `/`.
pub(crate) fn verify(request: SignedRequest, keys: &Keys, now: SystemTime) -> Result<(), ApiError> {
    let authorization = Authorization::read(request.headers)?;
    // The id is no secret, so it is compared in the ordinary way.
    if authorization.key_id != keys.id {
        return Err(ApiError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ));
    }

    let date = authorization.check_scope(&request, now)?;
    let canonical = canonical_request(&request, &authorization)?;
    let scope = authorization.scope.join("/");
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(sha256(canonical.as_bytes()).as_ref())
    );

    let expected = hex(sign(&signing_key(&keys.secret, &authorization.scope), &text).as_ref());

    // In constant time: the time of a comparison would reveal how many bytes are right.
    verify_slices_are_equal(expected.as_bytes(), authorization.signature.as_bytes()).map_err(|_| {
        invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        )
    })
}

/// The Authorization header.
#[derive(Debug)]
struct Authorization<'a> {
    key_id: &'a str,
    /// Date, region, service and `aws4_request`.
    scope: Vec<&'a str>,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, ApiError> {
        let missing = || {
            ApiError::new(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        };

        let header = headers.get(AUTHORIZATION).ok_or_else(missing)?;
        let incomplete = |what: &str| {
            let message = format!("Authorization header requires '{what}' parameter.");
            ApiError::new("IncompleteSignatureException", message)
        };

        let text = header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256"));
        let text = text.ok_or_else(|| incomplete("AWS4-HMAC-SHA256"))?;

        let parts = || {
            text.split(',')
                .filter_map(|part| part.trim().split_once('='))
        };

        let part = |name: &str| {
            let found = parts().find(|(key, _)| *key == name);
            found
                .map(|(_, value)| value)
                .ok_or_else(|| incomplete(name))
        };

        let mut credential = part("Credential")?.split('/');
        let key_id = credential.next().unwrap_or_default();
        let scope: Vec<&str> = credential.collect();
        // Date, region, service and terminator.
        if scope.len() != 4 {
            return Err(incomplete("Credential"));
        }

        Ok(Self {
            key_id,
            scope,
            signed_headers: part("SignedHeaders")?,
            signature: part("Signature")?,
        })
    }

    /// Checks date, region and service of the credential scope. Returns the date of the request.
    fn check_scope(
        &self,
        request: &SignedRequest<'a>,
        now: SystemTime,
    ) -> Result<&'a str, ApiError> {
        let date = request
            .headers
            .get("x-amz-date")
            .and_then(|date| date.to_str().ok());
        let date = date.ok_or_else(|| {
            ApiError::new(
                "IncompleteSignatureException",
                "Authorization header requires existence of a 'X-Amz-Date' header.",
            )
        })?;

        let (earliest, latest) = (basic_format(now - MAX_SKEW), basic_format(now + MAX_SKEW));
        // The format sorts by time. A date in another format has another length, and is refused.
        if date.len() != latest.len() || date < earliest.as_str() || date > latest.as_str() {
            return Err(invalid(format!(
                "Signature expired or not yet current: {date} is not within 15 minutes of {}; check the clock",
                basic_format(now)
            )));
        }

        let [day, region, service, end] = self.scope[..] else {
            return Err(invalid(
                "Credential should have a date, a region, a service and a terminator.",
            ));
        };

        if !date.starts_with(day) || day.len() != 8 || end != "aws4_request" {
            return Err(invalid(
                "Date in Credential scope does not match YYYYMMDD from the X-Amz-Date header.",
            ));
        }
        if let Some(own) = request.region.filter(|own| *own != region) {
            return Err(invalid(format!(
                "Credential should be scoped to a valid region, not '{region}'; the emulator is in {own}: set AWS_REGION={own}"
            )));
        }
        if service != request.service {
            return Err(invalid(format!(
                "Credential should be scoped to correct service: '{}'.",
                request.service
            )));
        }
        Ok(date)
    }
}

/// Returns the canonical form of the request.
fn canonical_request(
    request: &SignedRequest,
    authorization: &Authorization,
) -> Result<String, ApiError> {
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    // Without these in the signature, one that was seen could be used for another operation.
    let required = ["host", "x-amz-date", "x-amz-target"];
    let is_unsigned = |name: &&&str| request.headers.contains_key(**name) && !names.contains(*name);
    if let Some(name) = required.iter().find(is_unsigned) {
        return Err(invalid(format!(
            "'{name}' must be a 'SignedHeader' in the AWS Authorization."
        )));
    }

    // Writing to a string cannot fail.
    let mut canonical = "POST\n/\n\n".to_owned();
    for name in &names {
        // A header that is sent twice is signed as one, with a comma between the values.
        let values = request.headers.get_all(*name).iter();
        let values: Vec<String> = values
            .map(|value| collapse_spaces(value.as_bytes()))
            .collect();
        let _ = writeln!(canonical, "{name}:{}", values.join(","));
    }

    let body = hex(sha256(request.body).as_ref());
    let _ = write!(canonical, "\n{}\n{body}", authorization.signed_headers);
    Ok(canonical)
}

/// Trims a header's value and replaces runs of spaces by one.
fn collapse_spaces(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Derives the key of one day, region and service.
fn signing_key(secret: &str, scope: &[&str]) -> hmac::Key {
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    scope.iter().fold(first, |key, part| {
        hmac::Key::new(hmac::HMAC_SHA256, sign(&key, part).as_ref())
    })
}

fn sign(key: &hmac::Key, text: &str) -> hmac::Tag {
    hmac::sign(key, text.as_bytes())
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidSignatureException", message)
}

/// AWS accepts requests dated within 15 minutes of its clock.
const MAX_SKEW: Duration = Duration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the date of AWS's Signature Version 4 test suite, test `post-vanilla`.
    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";

    fn keys() -> Keys {
        Keys {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        }
    }

    fn headers(authorization: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        if let Some(text) = authorization {
            headers.insert("authorization", text.parse().unwrap());
        }
        headers
    }

    fn code(headers: &HeaderMap, body: &[u8], seconds: u64, region: &str) -> Option<&'static str> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160 + seconds);
        let request = SignedRequest {
            headers,
            body,
            service: "service",
            region: Some(region),
        };
        verify(request, &keys(), now).err().map(|error| error.code)
    }

    #[test]
    fn accepts_the_signature_of_the_test_suite() {
        assert_eq!(
            code(&headers(Some(AUTHORIZATION)), b"", 0, "us-east-1"),
            None
        );
    }

    #[test]
    fn rejects_what_aws_rejects() {
        let own = headers(Some(AUTHORIZATION));
        let changed = AUTHORIZATION.replace("Signature=5", "Signature=6");
        let other = AUTHORIZATION.replace("AKIDEXAMPLE", "AKIDOTHER");
        let invalid = Some("InvalidSignatureException");

        assert_eq!(
            code(&headers(None), b"", 0, "us-east-1"),
            Some("MissingAuthenticationTokenException")
        );

        assert_eq!(
            code(&headers(Some("Bearer x")), b"", 0, "us-east-1"),
            Some("IncompleteSignatureException")
        );

        assert_eq!(
            code(&headers(Some(&other)), b"", 0, "us-east-1"),
            Some("UnrecognizedClientException")
        );

        assert_eq!(code(&headers(Some(&changed)), b"", 0, "us-east-1"), invalid);
        assert_eq!(code(&own, b"{}", 0, "us-east-1"), invalid, "another body");
        assert_eq!(code(&own, b"", 901, "us-east-1"), invalid, "too late");
        assert_eq!(code(&own, b"", 899, "us-east-1"), None);
        assert_eq!(
            code(&own, b"", 0, "eu-central-1"),
            invalid,
            "another region"
        );
    }

    #[test]
    fn rejects_an_operation_that_is_not_signed() {
        let mut headers = headers(Some(AUTHORIZATION));
        headers.insert(
            "x-amz-target",
            "AmazonEC2ContainerServiceV20141113.RunTask"
                .parse()
                .unwrap(),
        );
        assert_eq!(
            code(&headers, b"", 0, "us-east-1"),
            Some("InvalidSignatureException")
        );
    }
}
