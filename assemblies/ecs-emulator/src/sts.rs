//! `sts:GetCallerIdentity`, which tools call to find the account. STS has the query protocol: forms and XML.

use crate::api_error::ApiError;
use crate::arn::Owner;

/// Carries out an operation of STS: the body is a form with `Action`.
pub(crate) fn call(
    body: &[u8],
    owner: &Owner,
    key_id: &str,
    request_id: &str,
) -> Result<String, ApiError> {
    match form_value(body, "Action").as_deref() {
        Some("GetCallerIdentity") => Ok(caller_identity(owner, key_id, request_id)),
        Some(action) => Err(ApiError::new(
            "InvalidAction",
            format!("Could not find operation {action}: the emulator has GetCallerIdentity only"),
        )),
        None => Err(ApiError::new("MissingAction", "the request has no Action")),
    }
}

fn caller_identity(owner: &Owner, key_id: &str, request_id: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{}</Arn><UserId>{key_id}</UserId>\
         <Account>{}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>{request_id}</RequestId>\
         </ResponseMetadata></GetCallerIdentityResponse>",
        caller_arn(owner),
        owner.account
    )
}

/// Returns the ARN of the only caller: the user with the keys of the emulator.
pub(crate) fn caller_arn(owner: &Owner) -> String {
    format!("arn:aws:iam::{}:user/emulator", owner.account)
}

/// Returns the document of an error.
pub(crate) fn error_document(error: &ApiError, request_id: &str) -> String {
    let message = error
        .message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // The query protocol has its own names for the errors of signatures.
    let code = match error.code {
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "IncompleteSignatureException" => "IncompleteSignature",
        code => code,
    };

    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

/// Returns a value of a form.
fn form_value(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    // Names of parameters need no decoding; values may be percent-encoded.
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let decoded = percent_encoding::percent_decode_str(value)
        .decode_utf8()
        .ok()?;
    Some(decoded.into_owned())
}

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            region: "us-east-1".into(),
            account: "111122223333".into(),
        }
    }

    #[test]
    fn returns_the_account() {
        let body = b"Action=GetCallerIdentity&Version=2011-06-15";
        let document = call(body, &owner(), "AKIAEXAMPLE", "id").unwrap();
        assert!(
            document.contains("<Account>111122223333</Account>"),
            "{document}"
        );
    }

    #[test]
    fn names_an_unknown_action_without_markup() {
        let error = call(b"Action=A%3Cb%3E", &owner(), "k", "id").unwrap_err();
        assert!(error_document(&error, "id").contains("operation A&lt;b&gt;"));
        assert_eq!(
            call(b"", &owner(), "k", "id").unwrap_err().code,
            "MissingAction"
        );
    }
}
