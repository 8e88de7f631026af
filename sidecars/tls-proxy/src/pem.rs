//! PEM text as environment variables contain it: verbatim, with escapes, on one line, or in base64.

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer,
    PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use serde_json::Value;

use crate::certificate::CertificateError;

/// The blocks of a text, by kind.
#[derive(Debug, Default)]
pub(crate) struct PemBlocks {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) keys: Vec<PrivateKeyDer<'static>>,
    pub(crate) revocation_lists: Vec<CertificateRevocationListDer<'static>>,
}

/// Parses every certificate, key and revocation list in `text`.
pub(crate) fn parse(text: &str) -> Result<PemBlocks, CertificateError> {
    let text = decode_text(text)?;
    let mut blocks = PemBlocks::default();
    let mut rest = text.as_str();
    while let Some((label, body, after)) = next_block(rest)? {
        rest = after;
        if label.contains("ENCRYPTED") || body.contains("ENCRYPTED") {
            return Err(CertificateError::EncryptedKey);
        }

        // Shells and consoles turn line ends into spaces; base64 has no white space, so all of it is dropped.
        let body: String = body.split_whitespace().collect();
        let der = || {
            BASE64_STANDARD
                .decode(&body)
                .map_err(|_| CertificateError::BrokenBlock(label.into()))
        };

        match label {
            "CERTIFICATE" => blocks.certificates.push(der()?.into()),
            "PRIVATE KEY" => blocks.keys.push(PrivatePkcs8KeyDer::from(der()?).into()),
            "RSA PRIVATE KEY" => blocks.keys.push(PrivatePkcs1KeyDer::from(der()?).into()),
            "EC PRIVATE KEY" => blocks.keys.push(PrivateSec1KeyDer::from(der()?).into()),
            "X509 CRL" => blocks.revocation_lists.push(der()?.into()),
            // `openssl ecparam -genkey` writes its parameters in front of the key.
            _ => {}
        }
    }

    Ok(blocks)
}

/// Decodes the supported forms to plain PEM.
fn decode_text(text: &str) -> Result<String, CertificateError> {
    let text = text.trim();
    if text.starts_with('{')
        && let Ok(secret) = serde_json::from_str(text)
    {
        // A secret with several members, as the Secrets Manager console creates them.
        let mut texts = Vec::new();
        collect_texts(&secret, &mut texts);
        return match texts.as_slice() {
            [] => Err(CertificateError::NotPem),
            texts => Ok(texts.join("\n")),
        };
    }

    // Quotes survive when a JSON string is passed on without being parsed.
    let text = text.trim_matches('"');
    if text.contains(BEGIN) {
        return Ok(text.replace("\\r", "").replace("\\n", "\n"));
    }

    let packed: String = text.split_whitespace().collect();
    let bytes = BASE64_STANDARD
        .decode(packed)
        .map_err(|_| CertificateError::NotPem)?;
    let text = String::from_utf8(bytes).map_err(|_| CertificateError::NotPem)?;

    if text.contains(BEGIN) {
        Ok(text)
    } else {
        Err(CertificateError::NotPem)
    }
}

/// Collects the PEM texts in a JSON value; `ca_chain` in the secrets of Vault is a list of them.
fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.extend(decode_text(text)),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => members
            .values()
            .for_each(|value| collect_texts(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns label and body of the first block, and the text after it.
fn next_block(text: &str) -> Result<Option<(&str, &str, &str)>, CertificateError> {
    let Some((_, text)) = text.split_once(BEGIN) else {
        return Ok(None);
    };
    // The end must have the label of the beginning (RFC 7468 section 2).
    let (label, text) = text.split_once(DASHES).ok_or(CertificateError::NotPem)?;
    let end = format!("-----END {label}-----");
    let broken = || CertificateError::BrokenBlock(label.to_owned());
    let (body, after) = text.split_once(&end).ok_or_else(broken)?;
    Ok(Some((label, body, after)))
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAEC\nAwQF\n-----END CERTIFICATE-----\n\
        -----BEGIN PRIVATE KEY-----\nBgcI\n-----END PRIVATE KEY-----\n";

    fn assert_parses_both(text: &str) {
        let blocks = parse(text).unwrap();
        assert_eq!(
            blocks.certificates,
            [CertificateDer::from(vec![0, 1, 2, 3, 4, 5])]
        );
        assert_eq!(blocks.keys.len(), 1);
        assert_eq!(blocks.keys[0].secret_der(), [6, 7, 8]);
    }

    #[test]
    fn parses_every_supported_form() {
        assert_parses_both(PEM);
        // Line ends of Windows, escapes, folded lines, a quoted JSON string, base64, a JSON object.
        assert_parses_both(&PEM.replace('\n', "\r\n"));
        assert_parses_both(&PEM.replace('\n', "\\n"));
        assert_parses_both(&PEM.replace('\n', " "));
        assert_parses_both(&format!("\"{}\"", PEM.replace('\n', "\\n")));
        assert_parses_both(&BASE64_STANDARD.encode(PEM));
        let (certificate, key) = PEM.split_at(PEM.find("-----BEGIN PRIVATE").unwrap());
        let json = serde_json::json!({ "user": "x", "Certificate": certificate,
            "PrivateKey": BASE64_STANDARD.encode(key), "n": 1 });
        assert_parses_both(&json.to_string());
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in "(-----BEGIN |-----END |-----|CERTIFICATE|PRIVATE KEY|\\n|\n|A|=|\\{|\"|:)*|.{0,200}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn rejects_encrypted_keys() {
        let pkcs8 =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----";
        assert!(matches!(parse(pkcs8), Err(CertificateError::EncryptedKey)));
        // The encryption of PKCS #1 keys shows only in the headers inside the block (RFC 1421).
        let pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END RSA PRIVATE KEY-----";
        assert!(matches!(parse(pkcs1), Err(CertificateError::EncryptedKey)));
    }

    #[test]
    fn rejects_other_text_and_truncated_blocks() {
        assert!(matches!(parse("hello"), Err(CertificateError::NotPem)));
        assert!(matches!(
            parse(&BASE64_STANDARD.encode("hello")),
            Err(CertificateError::NotPem)
        ));
        let truncated = &PEM[..60];
        assert!(
            matches!(parse(truncated), Err(CertificateError::BrokenBlock(label)) if label == "CERTIFICATE")
        );
    }
}
