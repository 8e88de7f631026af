//! An image whose files lie on this machine: what it says of itself, for a container that runs in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The files of an image, unpacked, and its configuration (OCI image specification, "Image Configuration").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The folder its files are in; they are never written to.
    pub root: PathBuf,
    /// `Entrypoint`.
    pub entry_point: Vec<String>,
    /// `Cmd`.
    pub command: Vec<String>,
    /// `Env`.
    pub environment: BTreeMap<String, String>,
    /// `WorkingDir`, within the image.
    pub folder: PathBuf,
    /// `User`: `user` or `user:group`, each a number or a name of the image.
    pub user: Option<String>,
    /// `StopSignal`: a name or a number; SIGTERM when left out.
    pub stop_signal: Option<String>,
}

impl Image {
    /// What its environment is unless somebody says otherwise.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let mut all = self.environment.clone();
        if let Some(home) = self.home() {
            all.entry("HOME".to_owned()).or_insert(home);
        }
        all
    }

    /// The home of its user, as its own list of users says it.
    fn home(&self) -> Option<String> {
        let user = self.user.as_deref().unwrap_or("0");
        let user = user.split(':').next().filter(|user| !user.is_empty())?;
        let text = fs::read_to_string(self.file("etc/passwd")).ok()?;
        let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let line =
            lines.find(|words| words.first() == Some(&user) || words.get(2) == Some(&user))?;
        line.get(5).map(|home| (*home).to_owned())
    }

    /// Where a file of it is on this machine.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}
