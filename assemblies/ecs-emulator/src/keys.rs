//! The access keys of one run. To sign requests with them, a program must be able to read the
//! project's private files.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Config, Error};

/// An access key that is valid until the emulator exits.
pub struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Keys")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Creates random keys.
    pub fn generate() -> Result<Self, Error> {
        let (mut id, mut secret) = ([0; 8], [0; 30]);
        rand::fill(&mut id).map_err(|_| Error::Random)?;
        rand::fill(&mut secret).map_err(|_| Error::Random)?;

        // An access key id has 20 letters and digits. `AKIA` marks a long-term key.
        let letters = id
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Ok(Self {
            id: "AKIAEMULATOR".chars().chain(letters).collect(),
            secret: URL_SAFE_NO_PAD.encode(secret),
        })
    }

    /// Returns the access key id, which is not secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the secret access key, with which a client signs its requests.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Writes the keys as a profile and as variables of a shell, both readable only by their owner.
    pub fn write(&self, config: &Config, address: SocketAddr) -> Result<KeyFiles, Error> {
        let folder = private_folder(&config.root)?;
        let files = KeyFiles {
            profile: folder.join("credentials"),
            variables: folder.join("env"),
        };

        // A file of an earlier run may be open in an editor; replacing it does not change what is read there.
        write_private(&files.profile, &self.to_profile(config))?;
        write_private(&files.variables, &self.to_variables(config, address))?;
        Ok(files)
    }

    fn to_profile(&self, config: &Config) -> String {
        format!(
            "# Keys of `assemble emulate`, valid until it exits. For AWS_SHARED_CREDENTIALS_FILE.\n[emulator]\n\
             aws_access_key_id = {}\naws_secret_access_key = {}\nregion = {}\n",
            self.id, self.secret, config.region
        )
    }

    fn to_variables(&self, config: &Config, address: SocketAddr) -> String {
        let endpoint = format!("http://{address}");
        let mut text =
            "# Keys of `assemble emulate`, valid until it exits. Use: . .assemble/emulator/env\n"
                .to_owned();
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", self.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_REGION", &config.region),
            ("AWS_DEFAULT_REGION", &config.region),
            ("AWS_ENDPOINT_URL_ECS", &endpoint),
            ("AWS_ENDPOINT_URL_STS", &endpoint),
            ("AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING", &endpoint),
            // The emulator has no logs, and says so; without this the keys would go to the real service.
            ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &endpoint),
        ] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "export {name}={value}");
        }

        // A profile or a session token of the shell would take precedence, or be sent beside these keys.
        text.push_str("unset AWS_PROFILE AWS_SESSION_TOKEN\n");
        text
    }
}

/// The files with the keys. They are removed when this is dropped.
#[derive(Debug)]
pub struct KeyFiles {
    /// A profile `emulator` in the format of the AWS CLI's credentials file.
    pub profile: PathBuf,
    /// `export` lines for a shell.
    pub variables: PathBuf,
}

impl Drop for KeyFiles {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.profile);
        let _ = fs::remove_file(&self.variables);
    }
}

/// Creates `.assemble/emulator/`, accessible only to its owner.
pub(crate) fn private_folder(root: &Path) -> Result<PathBuf, Error> {
    let folder = root.join(".assemble/emulator");
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

/// Writes a file that only its owner can read. An existing file is replaced, so that its mode does not matter.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        // Left over from a run that was killed; `create_new` would fail.
        let _ = fs::remove_file(&beside);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&beside, path)
    };

    write().map_err(|source| Error::File {
        act: "write",
        path: path.to_owned(),
        source,
    })
}

/// Base32, RFC 4648: the letters of access key ids.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn writes_files_for_their_owner_only_and_removes_them() {
        let root = tempfile::tempdir().unwrap();
        let config = Config::new(root.path().to_owned(), "assemble".into());
        let keys = Keys::generate().unwrap();
        let files = keys
            .write(&config, "127.0.0.1:4000".parse().unwrap())
            .unwrap();

        for path in [&files.profile, &files.variables] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            assert!(fs::read_to_string(path).unwrap().contains(keys.secret()));
        }
        let variables = fs::read_to_string(&files.variables).unwrap();
        assert!(
            variables.contains("AWS_ENDPOINT_URL_ECS=http://127.0.0.1:4000\n"),
            "{variables}"
        );

        let path = files.profile.clone();
        drop(files);
        assert!(!path.exists());
    }

    #[test]
    fn keys_differ_between_runs_and_are_not_printed() {
        let (first, second) = (Keys::generate().unwrap(), Keys::generate().unwrap());
        assert_ne!(first.id(), second.id());
        assert_ne!(first.secret(), second.secret());
        assert_eq!(first.id().len(), 20);
        assert!(!format!("{first:?}").contains(first.secret()));
    }
}
