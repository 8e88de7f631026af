//! Settings: defaults < file < document < variables, with every problem reported together.
//!
//! `schema.rs` derives the settings from the JSON Schema of a `Config`; `sources.rs` reads file,
//! document and environment as layers of values; `load.rs` merges the layers into the defaults and
//! collects the problems; `name.rs` maps setting names to environment variables.

mod load;
mod name;
mod schema;
mod sources;

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use load::{LoadedSettings, load};
pub(crate) use load::{load_checked, load_common};
pub(crate) use name::{prefix, variable};
pub(crate) use schema::{SettingKind, SettingSchema, schema_for};
pub use sources::Sources;

/// The settings of a component.
///
/// The `Default` is the documented default; a setting without one is an `Option` or empty, and
/// [`problems`](Settings::problems) reports that it is missing.
pub trait Settings:
    Default + Clone + Debug + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// Validates the settings together: one that is required, two that exclude each other.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// The error of a library function that was given invalid settings; contains every problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid settings: {}", format_all(.0))]
pub struct SettingsError(Vec<Problem>);

impl SettingsError {
    /// Creates an error with one problem.
    pub fn new(
        setting: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self(vec![Problem::new(setting, message, hint)])
    }

    /// Returns an error if there is any problem.
    pub fn from_problems(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }

    /// Returns the problems.
    pub fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}

impl FromIterator<Problem> for SettingsError {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

fn format_all(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| {
        let Problem {
            setting,
            message,
            hint,
        } = problem;
        match hint.as_str() {
            "" => format!("`{setting}` {message}"),
            hint => format!("`{setting}` {message}; {hint}"),
        }
    });
    lines.collect::<Vec<_>>().join(". ")
}

/// A problem with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted path of the setting, such as `limits.idle_timeout`.
    pub setting: String,
    /// The problem, as a phrase that follows the name: `is required`.
    pub message: String,
    /// What to do about it, beginning with a verb; may be empty.
    pub hint: String,
}

impl Problem {
    /// Creates a problem.
    pub fn new(
        setting: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            setting: setting.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Formats the problem with the setting's path and its environment variable for `component`.
    pub fn format(&self, component: &str) -> String {
        let variable = variable(component, &self.setting);
        let Self {
            setting,
            message,
            hint,
        } = self;
        // An unknown variable has no path; its name is not repeated.
        let name = if *setting == variable {
            format!("`{setting}`")
        } else {
            format!("`{setting}` ({variable})")
        };

        if hint.is_empty() {
            format!("{name} {message}")
        } else {
            format!("{name} {message}; {hint}")
        }
    }
}
