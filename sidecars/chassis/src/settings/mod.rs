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
