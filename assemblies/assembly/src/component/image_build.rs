//! The field `build` of `component.yaml`: what happens before cargo compiles the program of an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the program of an image needs besides cargo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageBuild {
    /// A program that runs before cargo, such as a script that builds a C library; relative to the folder of
    /// `component.yaml`. Its argument is the target triple. It prints lines `NAME=VALUE`, variables for cargo,
    /// and `licenses=FOLDER` with licence texts for the image. Anything else belongs on stderr.
    pub prepare: String,
    /// Variables for cargo that do not depend on the machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// What a `prepare` program printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreparedBuild {
    /// Variables for cargo.
    pub environment: BTreeMap<String, String>,
    /// The folder of licence texts for the image.
    pub licenses: Option<PathBuf>,
}

impl PreparedBuild {
    /// Parses the output of a `prepare` program.
    pub fn parse(output: &str) -> Result<Self, PrepareOutputError> {
        let mut prepared = Self::default();
        for (index, line) in output.lines().enumerate() {
            let number = index + 1;
            if number > MAX_LINES || line.len() > MAX_LINE_BYTES {
                return Err(PrepareOutputError::TooLong);
            }

            let invalid = || PrepareOutputError::Line {
                number,
                line: line.chars().take(SHOWN_CHARACTERS).collect(),
            };
            let (name, value) = line.split_once('=').ok_or_else(invalid)?;
            if value.is_empty() {
                return Err(invalid());
            }

            match name {
                "licenses" => prepared.licenses = Some(PathBuf::from(value)),
                name if is_variable(name) => {
                    prepared
                        .environment
                        .insert(name.to_owned(), value.to_owned());
                }
                _ => return Err(invalid()),
            }
        }

        Ok(prepared)
    }
}

/// Why the output of a `prepare` program cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareOutputError {
    /// A line is neither a variable nor the folder of licences.
    #[error(
        "line {number} of its output is `{line}`, not `NAME=VALUE` or `licenses=FOLDER`; print messages on stderr"
    )]
    Line {
        /// The number of the line, from 1.
        number: usize,
        /// The beginning of the line.
        line: String,
    },
    /// The output is no list of variables.
    #[error(
        "its output exceeds {MAX_LINES} lines or {MAX_LINE_BYTES} bytes in a line; print messages on stderr"
    )]
    TooLong,
}

/// Returns whether a name is upper case, as the variables that cargo and build scripts read. A target triple in a
/// name, as in `CC_x86_64_unknown_linux_gnu`, is lower case.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

const MAX_LINES: usize = 100;
const MAX_LINE_BYTES: usize = 4096;
const SHOWN_CHARACTERS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_variables_and_the_folder_of_licences() {
        let output = "PKG_CONFIG_LIBDIR=/cache/lib/pkgconfig\nCFLAGS_x86_64-unknown-linux-gnu=-O2 -g\nlicenses=/cache/a b\n";
        let prepared = PreparedBuild::parse(output).unwrap();
        let environment: Vec<_> = prepared.environment.iter().collect();

        assert_eq!(prepared.licenses, Some(PathBuf::from("/cache/a b")));
        assert_eq!(environment[0].0, "CFLAGS_x86_64-unknown-linux-gnu");
        assert_eq!(environment[0].1, "-O2 -g");
        assert_eq!(environment[1].1, "/cache/lib/pkgconfig");
    }

    #[test]
    fn a_component_declares_its_build() {
        let text = "schema: 1\nname: a\nkind: app\nsummary: a\nimage: a\nsize: { cpu: 1, memory: 6 }\n\
            licenses: MIT AND Zlib\nbuild: { prepare: lib/build, environment: { A: b } }\n";
        let source = diagnostics::source::Source::new("a/component.yaml", text);
        let component = crate::component::Component::read(&source).unwrap();
        let build = component.file().build.as_ref().unwrap();

        assert_eq!(component.file().licenses.as_deref(), Some("MIT AND Zlib"));
        assert_eq!(build.prepare, "lib/build");
        assert_eq!(build.environment["A"], "b");

        let unknown = text.replace("prepare: lib/build", "prepare: lib/build, run: x");
        let source = diagnostics::source::Source::new("a/component.yaml", unknown);
        let findings = crate::component::Component::read(&source).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn accepts_a_program_that_prints_nothing() {
        assert_eq!(PreparedBuild::parse(""), Ok(PreparedBuild::default()));
    }

    #[test]
    fn rejects_lines_that_are_no_variable() {
        for line in ["compiling", "path=/x", "A B=1", "=1", "A=", "1A=1"] {
            let error = PreparedBuild::parse(&format!("A=1\n{line}\n")).unwrap_err();
            assert!(
                error.to_string().starts_with("line 2 of its output"),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn limits_the_output() {
        let lines = "A=1\n".repeat(MAX_LINES + 1);
        assert_eq!(
            PreparedBuild::parse(&lines),
            Err(PrepareOutputError::TooLong)
        );

        let line = format!("A={}", "x".repeat(MAX_LINE_BYTES));
        assert_eq!(
            PreparedBuild::parse(&line),
            Err(PrepareOutputError::TooLong)
        );
    }
}
