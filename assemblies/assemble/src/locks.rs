//! Locates and reads the lock files: one per environment, read whenever an assembly is planned.

use std::path::{Path, PathBuf};

use assembly::{Lock, LockMode};

use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;

impl Project {
    /// Returns the lock of an environment, empty if there is no lock file.
    pub(crate) fn lock(&self, values: &ValueArguments, otherwise: &str) -> Result<Lock, CliError> {
        let file = self.lock_file(values, otherwise);
        let demand = values.demand();
        if !file.is_file() {
            return Ok(Lock::default().with_mode(demand));
        }
        let lock = Lock::read(&self.source(&file)?).map_err(CliError::Findings)?;
        Ok(lock.with_mode(demand))
    }

    /// Returns the path of the lock file: `assemblies/locks/prod.yaml` for `--values prod` and for
    /// `--values somewhere/prod.yaml`. With several environments the last one decides.
    pub(crate) fn lock_file(&self, values: &ValueArguments, otherwise: &str) -> PathBuf {
        let chosen = Path::new(values.values.last().map_or(otherwise, String::as_str));
        let name = chosen.file_stem().unwrap_or(chosen.as_os_str());
        let mut file = name.to_owned();
        file.push(".yaml");
        self.root().join("assemblies/locks").join(file)
    }
}

impl ValueArguments {
    /// Converts `--locked`.
    fn demand(&self) -> LockMode {
        if self.locked {
            LockMode::Required
        } else {
            LockMode::BestEffort
        }
    }
}
