//! Keys for development: created on first use, kept under `.assemble/dev/`, for local use only.
//!
//! | file | is |
//! |---|---|
//! | `ca.pem` | the CA to trust during development; its own key is discarded |
//! | `tls.pem` | certificate and key of `localhost`: the secret `assemble-dev-tls` |
//! | `jwks.json` | the public key that components verify tokens with |
//! | `signing-key.der` | the key that `assemble dev-token` signs them with |

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};

use crate::Error;

const DAY: Duration = Duration::from_hours(24);
const VALID: Duration = Duration::from_hours(365 * 24);
/// Certificates older than this are replaced, long before they expire.
const FRESH: Duration = Duration::from_hours(300 * 24);

/// The directory with a project's development keys.
#[derive(Debug)]
pub struct DevKeys {
    folder: PathBuf,
}

impl DevKeys {
    /// Opens the keys of a project and creates the ones that are missing or about to expire.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let keys = Self {
            folder: private_folder(root, "dev")?,
        };
        // The CA key is gone, so CA and server certificate can only be replaced together.
        if !fresh(&keys.certificate()) || !keys.ca().is_file() {
            let (ca, server) = certificates().map_err(key_error)?;
            write(&keys.ca(), ca.as_bytes())?;
            write(&keys.certificate(), server.as_bytes())?;
        }

        if !keys.signing_key().is_file() || !keys.key_set().is_file() {
            let key =
                EcdsaKeyPair::generate_pkcs8(&ES256, &SystemRandom::new()).map_err(key_error)?;
            write(&keys.signing_key(), key.as_ref())?;
            let set = json!({ "keys": [public(&keys.load()?)] });
            write(&keys.key_set(), format!("{set:#}\n").as_bytes())?;
        }

        Ok(keys)
    }

    /// Returns the path of the CA certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Returns the path of the server's certificate and key.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("tls.pem")
    }

    fn key_set(&self) -> PathBuf {
        self.folder.join("jwks.json")
    }

    fn signing_key(&self) -> PathBuf {
        self.folder.join("signing-key.der")
    }

    /// Returns a JWT with these claims, signed with ES256.
    pub fn sign(&self, claims: &Value) -> Result<String, Error> {
        let key = self.load()?;
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": public(&key)["kid"] });
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", text(&header), text(claims));
        let signature = key
            .sign(&SystemRandom::new(), message.as_bytes())
            .map_err(key_error)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn load(&self) -> Result<EcdsaKeyPair, Error> {
        let path = self.signing_key();
        let bytes = fs::read(&path).map_err(|source| Error::File {
            act: "read",
            path: path.clone(),
            source,
        })?;

        EcdsaKeyPair::from_pkcs8(&ES256, &bytes).map_err(|_| {
            Error::Usage(format!(
                "`{}` is not a key; delete it to create a new one",
                path.display()
            ))
        })
    }
}

/// Creates `.assemble/<name>`, accessible only to its owner.
pub(crate) fn private_folder(root: &Path, name: &str) -> Result<PathBuf, Error> {
    let folder = root.join(".assemble").join(name);
    let created = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);

    created.map_err(|source| Error::File {
        act: "create",
        path: folder.clone(),
        source,
    })?;

    Ok(folder)
}

/// Writes a file readable only by its owner. Replaces it atomically, for concurrent readers.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        // Rename within a directory is atomic, so a reader sees the old or the new file, never half of one.

        file.write_all(bytes)?;
        fs::rename(&beside, path)
    };

    write().map_err(|source| Error::File {
        act: "write",
        path: path.to_owned(),
        source,
    })
}

fn fresh(path: &Path) -> bool {
    let age = fs::metadata(path)
        .and_then(|file| file.modified())
        .map(|then| then.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age < FRESH))
}

/// Returns a CA certificate, and a server certificate with its key. The CA key is never written, so trusting
/// the CA trusts this one certificate only.
fn certificates() -> Result<(String, String), rcgen::Error> {
    let mut ca_params = params(&[], "assemble development CA")?;
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

    let key = KeyPair::generate()?;
    let ca = ca_params.self_signed(&key)?.pem();
    let issuer = Issuer::new(ca_params, key);

    let mut server = params(&["localhost", "127.0.0.1", "::1"], "localhost")?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?.pem();

    Ok((ca, format!("{certificate}{}", key.serialize_pem())))
}

fn params(names: &[&str], title: &str) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, title);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    // One day back, for containers with a clock that is behind.
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + (now + VALID);
    Ok(params)
}

/// Returns the public key as a JSON Web Key; `kid` is derived from the key itself.
fn public(key: &EcdsaKeyPair) -> Value {
    // SEC 1, section 2.3.3: an uncompressed point is the byte 4, then x, then y.
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let name = URL_SAFE_NO_PAD.encode(&digest(&SHA256, point).as_ref()[..9]);
    json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": name,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    })
}

fn key_error(failure: impl std::fmt::Display) -> Error {
    Error::Usage(format!("cannot create development keys: {failure}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn creates_private_keys_once() {
        let root = tempfile::tempdir().unwrap();
        let keys = DevKeys::open(root.path()).unwrap();
        for file in [
            keys.ca(),
            keys.certificate(),
            keys.key_set(),
            keys.signing_key(),
        ] {
            // Owner only: other users of the host must not be able to sign tokens.
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }

        let mode = fs::metadata(root.path().join(".assemble"))
            .unwrap()
            .permissions()
            .mode();

        assert_eq!(mode & 0o777, 0o700);
        // Opening the keys again must not invalidate tokens and certificates already in use.
        let before = fs::read(keys.certificate()).unwrap();
        let again = DevKeys::open(root.path()).unwrap();
        assert_eq!(fs::read(again.certificate()).unwrap(), before);
    }

    #[test]
    fn signs_tokens_with_the_published_key() {
        let root = tempfile::tempdir().unwrap();
        let keys = DevKeys::open(root.path()).unwrap();
        let token = keys.sign(&json!({ "sub": "me" })).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let set: Value = serde_json::from_slice(&fs::read(keys.key_set()).unwrap()).unwrap();
        let part = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(set["keys"][0][name].as_str().unwrap())
                .unwrap()
        };
        // The key set publishes x and y; the verifier takes the uncompressed point.
        let point = [vec![4], part("x"), part("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);

        key.verify(
            message.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    }
}
