//! An unpacked image on this host, and its configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The files of an image, unpacked, and its configuration (OCI image specification, "Image Configuration").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The folder with its files; they are never changed.
    pub root: PathBuf,
    /// `Entrypoint`.
    pub entry_point: Vec<String>,
    /// `Cmd`.
    pub command: Vec<String>,
    /// `Env`.
    pub environment: BTreeMap<String, String>,
    /// `WorkingDir`, in the image.
    pub folder: PathBuf,
    /// `User`: `user` or `user:group`, each a number or a name in the image.
    pub user: Option<String>,
    /// `Volumes`: paths whose content and owner an empty volume takes.
    pub volumes: Vec<String>,
    /// `StopSignal`: a name or a number; SIGTERM if `None`.
    pub stop_signal: Option<String>,
}

impl Image {
    /// Returns its default environment: `Env`, and `HOME` of its user as Docker sets it.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let mut all = self.environment.clone();
        if let Some(home) = self.home() {
            all.entry("HOME".to_owned()).or_insert(home);
        }
        all
    }

    /// Returns the home folder of its user from the image's `/etc/passwd`.
    fn home(&self) -> Option<String> {
        let user = self.user.as_deref().unwrap_or("0");
        let user = user.split(':').next().filter(|user| !user.is_empty())?;
        let text = fs::read_to_string(self.file("etc/passwd")).ok()?;
        let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        // Fields of an entry: name, password, uid, gid, comment, home, shell.
        let line =
            lines.find(|words| words.first() == Some(&user) || words.get(2) == Some(&user))?;
        line.get(5).map(|home| (*home).to_owned())
    }

    /// Returns the path of a file of the image on this host.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}
