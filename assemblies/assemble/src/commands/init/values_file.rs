//! A file of values that is added to; its comments and other values stay.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use assembly::Values;
use diagnostics::source::Source;

use crate::error::CliError;

/// The file, with the changes so far.
#[derive(Debug)]
pub(super) struct ValuesFile {
    path: PathBuf,
    text: String,
}

impl ValuesFile {
    /// Reads a file; one that does not exist is empty.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let text = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            _ => crate::reading::text(path)?,
        };
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// Sets a value. One that differs is replaced only with `--force`.
    pub(super) fn set(&mut self, name: &str, value: &str, is_forced: bool) -> Result<(), CliError> {
        let source = Source::new(self.path.display().to_string(), self.text.clone());
        // Read as every command does, so that a file that is no map is refused here and not later.
        let values = Values::read(&source).map_err(CliError::Findings)?;
        // A number in quotes stays text: accounts may begin with zeros.
        let quoted = value.bytes().all(|byte| byte.is_ascii_digit());
        let line = if quoted {
            format!("{name}: \"{value}\"")
        } else {
            format!("{name}: {value}")
        };

        match values.get(name) {
            Some(existing) if existing == value => {}
            Some(existing) if !is_forced => {
                return Err(CliError::Usage(format!(
                    "`{}` has `{name}: {existing}`, which would become `{value}`; pass --force, or another NAME",
                    self.path.display()
                )));
            }
            Some(_) => {
                let start = format!("{name}:");
                let lines = self.text.lines().map(|old| {
                    if old.starts_with(&start) {
                        line.as_str()
                    } else {
                        old
                    }
                });
                self.text = lines.flat_map(|line| [line, "\n"]).collect();
            }
            None => {
                if !self.text.is_empty() && !self.text.ends_with('\n') {
                    self.text.push('\n');
                }
                self.text.push_str(&line);
                self.text.push('\n');
            }
        }

        Ok(())
    }

    /// Writes the file beside its place first, so that a failure leaves the old one.
    pub(super) fn write(&self) -> Result<(), CliError> {
        let error = |act, path: &Path| {
            let path = path.to_owned();
            move |source| CliError::File { act, path, source }
        };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(error("create", folder))?;
        }
        let beside = self.path.with_extension("yaml.new");
        fs::write(&beside, &self.text).map_err(error("write", &beside))?;
        fs::rename(&beside, &self.path).map_err(error("write", &self.path))
    }
}
