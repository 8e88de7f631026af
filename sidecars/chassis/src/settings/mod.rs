//! Settings: defaults < file < one document < single variables, with every fault said at once.
//!
//! `schema.rs` learns from the JSON Schema of a `Config` which settings there are; `sources.rs`
//! turns file, document and environment into layers of values; `load.rs` lays the layers over the
//! defaults and gathers what is wrong; `name.rs` knows how a setting is called in the environment.

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

/// Everything about a component that can be set from outside.
///
/// The `Default` is the documented default; what has none is an `Option` or empty, and
/// [`problems`](Settings::problems) says that it is missing.
pub trait Settings:
    Default + Clone + Debug + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// Says what is wrong across settings: one that is required, two that exclude each other.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// Something wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted path of the setting: `limits.idle_timeout`.
    pub setting: String,
    /// What is wrong, as a phrase that follows the name: `is required`.
    pub message: String,
    /// What to do, beginning with a verb; may be empty.
    pub hint: String,
}

impl Problem {
    /// A problem with one setting.
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

    /// The problem with the setting's name in the environment of `component`.
    pub fn format(&self, component: &str) -> String {
        let variable = variable(component, &self.setting);
        let Self {
            setting,
            message,
            hint,
        } = self;
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
