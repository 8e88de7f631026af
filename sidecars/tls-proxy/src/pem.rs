//! PEM text as it arrives through environment variables: whole, escaped, folded or in base64.

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer,
    PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use serde_json::Value;

use crate::certificate::CertificateError;

/// The blocks of one text.
#[derive(Debug, Default)]
pub(crate) struct PemBlocks {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) keys: Vec<PrivateKeyDer<'static>>,
    pub(crate) revocation_lists: Vec<CertificateRevocationListDer<'static>>,
}

/// Reads every certificate and key in `text`.
pub(crate) fn parse(text: &str) -> Result<PemBlocks, CertificateError> {
    let text = decode_text(text)?;
    let mut blocks = PemBlocks::default();
    let mut rest = text.as_str();
    while let Some((label, body, after)) = next_block(rest)? {
        rest = after;
        if label.contains("ENCRYPTED") || body.contains("ENCRYPTED") {
            return Err(CertificateError::EncryptedKey);
        }

        // White space is dropped, so that line ends which became spaces on the way do no harm.
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

/// The PEM text inside what was given.
fn decode_text(text: &str) -> Result<String, CertificateError> {
    let text = text.trim();
    if text.starts_with('{')
        && let Ok(Value::Object(members)) = serde_json::from_str(text)
    {
        // A secret of several members, as the console of Secrets Manager makes them: each is a text of its own.
        let texts = members.values().filter_map(Value::as_str);
        let whole: Vec<String> = texts.filter_map(|text| decode_text(text).ok()).collect();
        return match whole.as_slice() {
            [] => Err(CertificateError::NotPem),
            whole => Ok(whole.join("\n")),
        };
    }

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

/// The label and body of the first block, and what follows it.
fn next_block(text: &str) -> Result<Option<(&str, &str, &str)>, CertificateError> {
    let Some((_, text)) = text.split_once(BEGIN) else {
        return Ok(None);
    };
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

    fn holds_both(text: &str) {
        let blocks = parse(text).unwrap();
        assert_eq!(
            blocks.certificates,
            [CertificateDer::from(vec![0, 1, 2, 3, 4, 5])]
        );
        assert_eq!(blocks.keys.len(), 1);
        assert_eq!(blocks.keys[0].secret_der(), [6, 7, 8]);
    }

    #[test]
    fn reads_every_form_a_secret_arrives_in() {
        holds_both(PEM);
        holds_both(&PEM.replace('\n', "\r\n"));
        holds_both(&PEM.replace('\n', "\\n"));
        holds_both(&PEM.replace('\n', " "));
        holds_both(&format!("\"{}\"", PEM.replace('\n', "\\n")));
        holds_both(&BASE64_STANDARD.encode(PEM));
        let (certificate, key) = PEM.split_at(PEM.find("-----BEGIN PRIVATE").unwrap());
        let json = serde_json::json!({ "user": "x", "Certificate": certificate,
            "PrivateKey": BASE64_STANDARD.encode(key), "n": 1 });
        holds_both(&json.to_string());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(-----BEGIN |-----END |-----|CERTIFICATE|PRIVATE KEY|\\n|\n|A|=|\\{|\"|:)*|.{0,200}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn refuses_encrypted_keys_with_the_reason() {
        let pkcs8 =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----";
        assert!(matches!(parse(pkcs8), Err(CertificateError::EncryptedKey)));
        let pkcs1 = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END RSA PRIVATE KEY-----";
        assert!(matches!(parse(pkcs1), Err(CertificateError::EncryptedKey)));
    }

    #[test]
    fn refuses_what_is_no_pem_or_was_cut() {
        assert!(matches!(parse("hello"), Err(CertificateError::NotPem)));
        assert!(matches!(
            parse(&BASE64_STANDARD.encode("hello")),
            Err(CertificateError::NotPem)
        ));
        let cut = &PEM[..60];
        assert!(
            matches!(parse(cut), Err(CertificateError::BrokenBlock(label)) if label == "CERTIFICATE")
        );
    }
}
