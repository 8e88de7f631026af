//! The checksums in `Cargo.lock`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::super::metadata::Package;

/// The SHA-256 of the archives of packages, by name, version and source.
#[derive(Debug, Default)]
pub(super) struct Checksums(HashMap<(String, String, String), String>);

impl Checksums {
    /// Reads the lock file of a workspace. Packages of other sources than registries have no checksum.
    pub(super) fn read(workspace: &Path) -> Self {
        // `cargo build --locked` has just succeeded with this file; without it there would be no checksums to report.
        let text = fs::read_to_string(workspace.join("Cargo.lock")).unwrap_or_default();
        Self::parse(&text)
    }

    /// Parses the text. Cargo writes the file, one `key = "value"` on a line, and overwrites other forms.
    fn parse(text: &str) -> Self {
        let packages = text.split("[[package]]").skip(1);
        let entry = |package: &str| {
            let field = |name: &str| {
                let mut lines = package.lines();
                lines.find_map(|line| {
                    let value = line.strip_prefix(name)?.strip_prefix(" = \"")?;
                    Some(value.strip_suffix('"')?.to_owned())
                })
            };
            let checksum = field("checksum")?;
            let is_sha256 = checksum.len() == 64 && checksum.bytes().all(|c| c.is_ascii_hexdigit());
            let key = (field("name")?, field("version")?, field("source")?);
            is_sha256.then_some((key, checksum))
        };
        Self(packages.filter_map(entry).collect())
    }

    /// Returns the checksum of a package, if it comes from a registry.
    pub(super) fn find(&self, package: &Package) -> Option<&str> {
        let source = package.source.clone()?;
        let key = (package.name.clone(), package.version.clone(), source);
        self.0.get(&key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_checksums_of_registries_only() {
        let (first, second) = ("1".repeat(64), "2".repeat(64));
        let text = format!(
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\
             checksum = \"{first}\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"own\"\nversion = \"1.0.0\"\n\n\
             [[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+y\"\nchecksum = \"{second}\"\n"
        );
        let checksums = Checksums::parse(&text);
        let package = |source: Option<&str>| -> Package {
            let text = serde_json::json!({
                "id": "a", "name": "a", "version": "1.0.0", "source": source,
                "manifest_path": "/a/Cargo.toml", "targets": [],
            });
            serde_json::from_value(text).unwrap()
        };
        assert_eq!(checksums.find(&package(Some("registry+x"))), Some(&*first));
        assert_eq!(checksums.find(&package(Some("registry+y"))), Some(&*second));
        assert_eq!(checksums.find(&package(Some("git+x"))), None);
        assert_eq!(checksums.find(&package(None)), None);
    }
}
