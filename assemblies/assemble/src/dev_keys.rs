//! Keys for development: made on first use, kept under `.assemble/dev/`, good for nothing else.
//!
//! | file | is |
//! |---|---|
//! | `ca.pem` | the authority to trust while trying things out; its own key is thrown away |
//! | `tls.pem` | certificate and key of `localhost`: the secret `assemble-dev-tls` |
//! | `jwks.json` | the public key with which auth-filter checks tokens |
//! | `signing-key.der` | the key with which `assemble dev-token` signs them |

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

use crate::failure::Failure;

const DAY: Duration = Duration::from_hours(24);
const VALID: Duration = Duration::from_hours(365 * 24);
/// Older certificates are made anew, long before they end.
const FRESH: Duration = Duration::from_hours(300 * 24);

/// The folder with the keys of a project.
#[derive(Debug)]
pub(crate) struct DevKeys {
    folder: PathBuf,
}

impl DevKeys {
    /// Makes whatever is missing or about to end.
    pub(crate) fn of(root: &Path) -> Result<Self, Failure> {
        let keys = Self {
            folder: private_folder(root, "dev")?,
        };
        if !fresh(&keys.certificate()) || !keys.ca().is_file() {
            let (ca, server) = certificates().map_err(broken)?;
            write(&keys.ca(), ca.as_bytes())?;
            write(&keys.certificate(), server.as_bytes())?;
        }

        if !keys.signing_key().is_file() || !keys.key_set().is_file() {
            let key = EcdsaKeyPair::generate_pkcs8(&ES256, &SystemRandom::new()).map_err(broken)?;
            write(&keys.signing_key(), key.as_ref())?;
            let set = json!({ "keys": [public(&keys.load()?)] });
            write(&keys.key_set(), format!("{set:#}\n").as_bytes())?;
        }

        Ok(keys)
    }

    /// The authority's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The server's certificate and key.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("tls.pem")
    }

    fn key_set(&self) -> PathBuf {
        self.folder.join("jwks.json")
    }

    fn signing_key(&self) -> PathBuf {
        self.folder.join("signing-key.der")
    }

    /// A token with these claims, signed with ES256.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, Failure> {
        let key = self.load()?;
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": public(&key)["kid"] });
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", text(&header), text(claims));
        let signature = key
            .sign(&SystemRandom::new(), message.as_bytes())
            .map_err(broken)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn load(&self) -> Result<EcdsaKeyPair, Failure> {
        let path = self.signing_key();
        let bytes = fs::read(&path).map_err(|source| Failure::File {
            act: "read",
            path: path.clone(),
            source,
        })?;

        EcdsaKeyPair::from_pkcs8(&ES256, &bytes).map_err(|_| {
            Failure::Usage(format!(
                "`{}` is not a key; delete it to have a new one",
                path.display()
            ))
        })
    }
}

/// Makes `.assemble/<name>`, which only its owner may enter.
pub(crate) fn private_folder(root: &Path, name: &str) -> Result<PathBuf, Failure> {
    let folder = root.join(".assemble").join(name);
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);

    made.map_err(|source| Failure::File {
        act: "make",
        path: folder.clone(),
        source,
    })?;

    Ok(folder)
}

/// Writes a file that only its owner may read, in one step for those who read it meanwhile.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;

        file.write_all(bytes)?;
        fs::rename(&beside, path)
    };

    write().map_err(|source| Failure::File {
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

/// An authority, and a server's certificate with its key. The authority signs once: its key is never
/// written, so trusting it trusts nothing else.
fn certificates() -> Result<(String, String), rcgen::Error> {
    let mut authority = params(&[], "assemble development authority")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

    let key = KeyPair::generate()?;
    let ca = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);

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
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + (now + VALID);
    Ok(params)
}

/// The public half as a JSON Web Key, named by its own fingerprint.
fn public(key: &EcdsaKeyPair) -> Value {
    // An uncompressed point: 4, then x and y.
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let name = URL_SAFE_NO_PAD.encode(&digest(&SHA256, point).as_ref()[..9]);
    json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": name,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    })
}

fn broken(failure: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("cannot make development keys: {failure}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_private_and_stay_the_same() {
        let root = tempfile::tempdir().unwrap();
        let keys = DevKeys::of(root.path()).unwrap();
        for file in [
            keys.ca(),
            keys.certificate(),
            keys.key_set(),
            keys.signing_key(),
        ] {
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }

        let mode = fs::metadata(root.path().join(".assemble"))
            .unwrap()
            .permissions()
            .mode();

        assert_eq!(mode & 0o777, 0o700);
        let before = fs::read(keys.certificate()).unwrap();
        let again = DevKeys::of(root.path()).unwrap();
        assert_eq!(fs::read(again.certificate()).unwrap(), before);
    }

    #[test]
    fn a_token_is_signed_by_the_published_key() {
        let root = tempfile::tempdir().unwrap();
        let keys = DevKeys::of(root.path()).unwrap();
        let token = keys.sign(&json!({ "sub": "me" })).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let set: Value = serde_json::from_slice(&fs::read(keys.key_set()).unwrap()).unwrap();
        let part = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(set["keys"][0][name].as_str().unwrap())
                .unwrap()
        };
        let point = [vec![4], part("x"), part("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);

        key.verify(
            message.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    }
}
