//! A package of cargo as a component.

use std::fmt::Write as _;

use super::super::metadata::Package;
use super::document::{Component, Hash, Kind, LicenseChoice};

/// Returns the component of a package; `checksum` is that of its archive in a registry.
pub(super) fn component(package: &Package, checksum: Option<&str>) -> Component {
    let purl = purl(package);
    Component {
        version: Some(package.version.clone()),
        hashes: checksum.map(Hash::sha256).into_iter().collect(),
        licenses: license(package).into_iter().collect(),
        purl: Some(purl.clone()),
        ..Component::new(Kind::Library, &purl, &package.name)
    }
}

/// Returns the package URL: <https://github.com/package-url/purl-spec>.
///
/// A package of the workspace has the type `generic`. With `cargo` it would mean the package of crates.io that has the
/// same name by chance, and scanners would report that one's vulnerabilities.
pub(super) fn purl(package: &Package) -> String {
    let (name, version) = (encode(&package.name, ""), encode(&package.version, ""));
    let qualifier = |name: &str, value: &str| format!("?{name}={}", encode(value, ":/"));

    let (kind, qualifier) = match package.source.as_deref() {
        None => {
            let url = package.repository.as_deref();
            let url = url.map(|url| qualifier("vcs_url", &format!("git+{url}")));
            ("generic", url.unwrap_or_default())
        }
        Some(source) => {
            let (kind, url) = source.split_once('+').unwrap_or(("registry", source));
            let qualifier = match kind {
                "git" => qualifier("vcs_url", &git_url(url)),
                _ if CRATES_IO.contains(&url) => String::new(),
                _ => qualifier("repository_url", url),
            };
            ("cargo", qualifier)
        }
    };
    format!("pkg:{kind}/{name}@{version}{qualifier}")
}

/// Converts `https://host/path?branch=x#COMMIT` to `git+https://host/path@COMMIT` (SPDX, "Package download location").
fn git_url(source: &str) -> String {
    let (url, commit) = source.split_once('#').unwrap_or((source, ""));
    let url = url.split('?').next().unwrap_or(url);
    if commit.is_empty() {
        format!("git+{url}")
    } else {
        format!("git+{url}@{commit}")
    }
}

fn license(package: &Package) -> Option<LicenseChoice> {
    if let Some(license) = &package.license {
        // Older packages separate choices with `/` (Cargo book, "The license and license-file fields").
        let expression = license
            .split('/')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" OR ");
        return Some(if is_expression(&expression) {
            LicenseChoice::Expression(expression)
        } else {
            LicenseChoice::License {
                name: license.clone(),
            }
        });
    }
    let file = package.license_file.as_ref()?;
    Some(LicenseChoice::License {
        name: format!("see {file} of the package"),
    })
}

/// Returns whether a text has the form of an SPDX expression (SPDX 2.3, annex D): identifiers and operators in turn.
fn is_expression(text: &str) -> bool {
    let text = text.replace('(', " ( ").replace(')', " ) ");
    let (mut depth, mut needs_operand) = (0_i32, true);
    for word in text.split_whitespace() {
        let is_fine = match word {
            "(" => {
                depth += 1;
                needs_operand
            }
            ")" => {
                depth -= 1;
                !needs_operand && depth >= 0
            }
            "AND" | "OR" | "WITH" => {
                let follows = !needs_operand;
                needs_operand = true;
                follows
            }
            _ => {
                let follows = needs_operand;
                needs_operand = false;
                let is_identifier = |c: char| c.is_ascii_alphanumeric() || "-.+:".contains(c);
                follows && word.chars().all(is_identifier)
            }
        };
        if !is_fine {
            return false;
        }
    }
    depth == 0 && !needs_operand
}

/// Percent-encodes everything except unreserved characters and `allowed` (purl specification, "Character encoding").
fn encode(text: &str, allowed: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || allowed.contains(c) {
            encoded.push(c);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The names of crates.io: of its git index, and of the sparse one.
const CRATES_IO: [&str; 2] = [
    "https://github.com/rust-lang/crates.io-index",
    "https://index.crates.io/",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn package(source: Option<&str>, license: Option<&str>) -> Package {
        let text = serde_json::json!({
            "id": "x", "name": "zstd-sys", "version": "2.1.3+zstd.1.5.7", "license": license,
            "repository": "https://example.com/web", "source": source,
            "manifest_path": "/x/Cargo.toml", "targets": [],
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_purl_names_where_a_package_comes_from() {
        for (source, purl) in [
            (
                Some("registry+https://github.com/rust-lang/crates.io-index"),
                "pkg:cargo/zstd-sys@2.1.3%2Bzstd.1.5.7",
            ),
            (
                Some("sparse+https://crates.example/index/"),
                "pkg:cargo/zstd-sys@2.1.3%2Bzstd.1.5.7?repository_url=https://crates.example/index/",
            ),
            (
                Some("git+https://example.com/zstd?branch=a#0123"),
                "pkg:cargo/zstd-sys@2.1.3%2Bzstd.1.5.7?vcs_url=git%2Bhttps://example.com/zstd%400123",
            ),
            (
                None,
                "pkg:generic/zstd-sys@2.1.3%2Bzstd.1.5.7?vcs_url=git%2Bhttps://example.com/web",
            ),
        ] {
            assert_eq!(super::purl(&package(source, None)), purl);
        }
    }

    #[test]
    fn licences_are_spdx_expressions_where_they_have_that_form() {
        let license = |text| license(&package(None, Some(text)));
        let expression = |text: &str| Some(LicenseChoice::Expression(text.to_owned()));
        assert_eq!(license("MIT/Apache-2.0"), expression("MIT OR Apache-2.0"));
        let nested = "(MIT OR Apache-2.0 WITH LLVM-exception) AND Unicode-3.0";
        assert_eq!(license(nested), expression(nested));
        for other in ["see the file", "MIT OR", "(MIT", "MIT)", ""] {
            let name = LicenseChoice::License {
                name: other.to_owned(),
            };
            assert_eq!(license(other), Some(name));
        }
        assert_eq!(super::license(&package(None, None)), None);
    }
}
