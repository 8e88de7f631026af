//! Arguments that several verbs share.

use std::path::PathBuf;

use clap::Args;

/// The values that replace `${…}` in an assembly.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ValueArguments {
    /// Environment: a name under `assemblies/values/`, or a file. Repeatable; the last one takes
    /// precedence.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) values: Vec<String>,
    /// Set one value, overriding those of the environments.
    #[arg(long = "value", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) value: Vec<(String, String)>,
    /// Fail if an image is not in the environment's lock file.
    #[arg(long)]
    pub(crate) locked: bool,
}

impl ValueArguments {
    /// Returns these arguments with one more environment, which overrides the others.
    pub(crate) fn and(&self, environment: &str) -> Self {
        let mut more = self.clone();
        more.values.push(environment.to_owned());
        more
    }
}

/// The price table to use.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PriceArguments {
    /// Price table [default: `assemblies/prices.yaml`, or the built-in table].
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
}

/// Splits `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name, `=` and a value".to_owned()),
    }
}
