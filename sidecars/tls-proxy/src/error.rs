//! The error of the library.

use chassis::{Problem, SettingsError};

use crate::certificate::SettingError;

/// The error of creating, serving or reloading a proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are invalid; contains every problem.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Error {
    /// Returns the problems of the settings, if that is the error.
    pub fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Settings(error) => error.into_problems(),
        }
    }

    pub(crate) fn setting(setting: &str, message: String) -> Self {
        SettingsError::new(setting, message, "").into()
    }
}

impl From<Vec<SettingError>> for Error {
    fn from(errors: Vec<SettingError>) -> Self {
        let problems = errors.into_iter().map(Problem::from);
        Self::Settings(problems.collect::<SettingsError>())
    }
}
