//! Where an image comes from: a layout folder, an archive, or a registry.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where an image comes from.
///
/// `oci:FOLDER[:NAME]`, `oci-archive:FILE`, `docker-archive:FILE` and `docker://REFERENCE` are explicit, with the
/// prefixes of skopeo and podman. Without a prefix, a text that begins with `/`, `./` or `../` is a path, to a layout or
/// an archive; every other text is an image reference, whether or not a file has the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// An OCI layout, and the name of an image in it.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// The `org.opencontainers.image.ref.name` of the image.
        name: Option<String>,
    },
    /// An archive of `docker save`, `podman save`, or a packed layout.
    Archive(PathBuf),
    /// A folder or an archive.
    Path(PathBuf),
    /// An image reference.
    Registry(String),
}

/// An error parsing a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no image; use oci:FOLDER, an archive as ./FILE, or REGISTRY/REPOSITORY:TAG ({1})"
)]
pub struct ParseSourceError(String, String);

impl ImageSource {
    /// Returns the layout in a folder if there is one, else the image of its registry.
    pub fn layout_or_registry(folder: PathBuf, image: &str) -> Result<Self, ParseSourceError> {
        if folder.join("oci-layout").is_file() {
            return Ok(Self::Layout { folder, name: None });
        }
        // With a prefix: a name that begins with a dot must not become a path of this host.
        format!("docker://{image}").parse()
    }
}

impl FromStr for ImageSource {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        let error = |why: &str| ParseSourceError(text.to_owned(), why.to_owned());
        let source = if let Some(rest) = text.strip_prefix("oci:") {
            let (folder, name) = match rest.rsplit_once(':') {
                // A name has no `/`, so a colon in a parent folder is not taken for its start.
                Some((folder, name)) if !name.contains('/') => (folder, Some(name.to_owned())),
                _ => (rest, None),
            };
            Self::Layout {
                folder: folder.into(),
                name,
            }
        } else if let Some(file) = text
            .strip_prefix("oci-archive:")
            .or_else(|| text.strip_prefix("docker-archive:"))
        {
            Self::Archive(file.into())
        } else if ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start))
            || matches!(text, "." | "..")
        {
            Self::Path(text.into())
        } else {
            let reference = text.strip_prefix("docker://").unwrap_or(text);
            let parsed: Result<crate::Reference, _> = reference.parse();
            parsed.map_err(|why| error(&why.to_string()))?;
            Self::Registry(reference.to_owned())
        };

        match &source {
            Self::Layout { folder: path, .. } | Self::Archive(path)
                if path.as_os_str().is_empty() =>
            {
                Err(error("the path is empty"))
            }
            _ => Ok(source),
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout { folder, name: None } => write!(f, "oci:{}", folder.display()),
            Self::Layout {
                folder,
                name: Some(name),
            } => write!(f, "oci:{}:{name}", folder.display()),
            Self::Archive(path) | Self::Path(path) => write!(f, "{}", path.display()),
            Self::Registry(reference) => f.write_str(reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_references() {
        let parse = |text: &str| text.parse::<ImageSource>().unwrap();
        let layout = |folder: &str, name: Option<&str>| ImageSource::Layout {
            folder: folder.into(),
            name: name.map(str::to_owned),
        };
        assert_eq!(parse("oci:out/web"), layout("out/web", None));
        assert_eq!(parse("oci:out/web:1.2"), layout("out/web", Some("1.2")));
        assert_eq!(parse("oci:/a:b/web"), layout("/a:b/web", None));
        for text in ["./web.tar", "/tmp/web", "../web", "."] {
            assert_eq!(parse(text), ImageSource::Path(text.into()));
        }
        for text in ["docker-archive:web.tar", "oci-archive:web.tar"] {
            assert_eq!(parse(text), ImageSource::Archive("web.tar".into()));
        }
        // Also where a file of that name exists: the meaning does not depend on the folder.
        for text in ["web.tar", "src/web", "docker://src/web"] {
            let reference = text.trim_start_matches("docker://").to_owned();
            assert_eq!(parse(text), ImageSource::Registry(reference));
        }
    }

    #[test]
    fn refuses_what_names_no_image() {
        for text in ["", "oci:", "docker-archive:", "Web", "a b", "docker://"] {
            let error = text.parse::<ImageSource>().unwrap_err().to_string();
            assert!(error.contains("oci:FOLDER"), "{error}");
        }
    }
}
