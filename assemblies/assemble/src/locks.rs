//! Where the lock files are: one for each environment, read whenever an assembly is planned.

use std::path::{Path, PathBuf};

use assembly::{Demand, Lock};

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;

impl Project {
    /// The lock of an environment; an empty one where it has none.
    pub(crate) fn lock(&self, values: &ValueArguments, otherwise: &str) -> Result<Lock, Failure> {
        let file = self.lock_file(values, otherwise);
        let demand = values.demand();
        if !file.is_file() {
            return Ok(Lock::default().demanding(demand));
        }
        let lock = Lock::read(&self.source(&file)?).map_err(Failure::Findings)?;
        Ok(lock.demanding(demand))
    }

    /// `assemblies/locks/prod.yaml` for `--values prod`, and for `--values somewhere/prod.yaml`; of several
    /// environments that of the last.
    pub(crate) fn lock_file(&self, values: &ValueArguments, otherwise: &str) -> PathBuf {
        let chosen = Path::new(values.values.last().map_or(otherwise, String::as_str));
        let name = chosen.file_stem().unwrap_or(chosen.as_os_str());
        let mut file = name.to_owned();
        file.push(".yaml");
        self.root().join("assemblies/locks").join(file)
    }
}

impl ValueArguments {
    /// What `--locked` asks for.
    fn demand(&self) -> Demand {
        if self.locked {
            Demand::Everything
        } else {
            Demand::AsFarAsLocked
        }
    }
}
