//! Locations of videos and pictures: `video.mp4`, `https://…`, `s3://bucket/key`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{Error, ErrorKind};

/// A location to read from or write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local file.
    File(PathBuf),
    /// A URL; for reading only.
    Http(Uri),
    /// An object in S3 or a compatible service.
    S3(Object),
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The name of the bucket.
    pub bucket: String,
    /// The key, not percent-encoded.
    pub key: String,
}

impl Location {
    /// Returns the last part of the name, without its extension.
    pub fn stem(&self) -> &str {
        let path = match self {
            Self::File(path) => path.to_str().unwrap_or_default(),
            Self::Http(uri) => uri.path(),
            Self::S3(object) => &object.key,
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        // A URL may have no file name.
        if stem.is_empty() { "thumbnail" } else { stem }
    }

    /// Returns whether both are the same location, so that writing one replaces the other.
    ///
    /// Files are compared by device and inode, which resolves links and `./`; a missing file equals no
    /// other location.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(this), Self::File(other)) => {
                file_id(this).is_some_and(|id| file_id(other) == Some(id))
            }
            (Self::S3(this), Self::S3(other)) => this == other,
            (Self::Http(uri), Self::S3(object)) | (Self::S3(object), Self::Http(uri)) => {
                object.is_served_at(uri)
            }
            _ => false,
        }
    }

    /// Returns the name, for its extension.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Http(uri) => uri.path().to_owned(),
            Self::S3(object) => object.key.clone(),
        }
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let path = text.strip_prefix("file:").unwrap_or(text);
            return match path {
                "" => Err(usage(
                    "empty location; use a file, a URL or s3://bucket/key",
                )),
                path => Ok(Self::File(PathBuf::from(path))),
            };
        };

        match scheme.to_ascii_lowercase().as_str() {
            "file" if rest.starts_with('/') => Ok(Self::File(PathBuf::from(rest))),
            "http" | "https" => web_address(text).map(Self::Http),
            "s3" => Ok(Self::S3(Object::parse(rest)?)),
            _ => Err(usage(format!(
                "unsupported location `{text}`; use a file, http://, https:// or s3://bucket/key"
            ))),
        }
    }
}

impl fmt::Display for Location {
    /// Formats the location for reports and logs, without user information and query, which may hold
    /// secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(uri) => {
                // User information before `@` may be a password.
                let host = uri.authority().map_or("", |authority| {
                    authority.as_str().rsplit('@').next().unwrap_or_default()
                });
                write!(
                    f,
                    "{}://{host}{}",
                    uri.scheme_str().unwrap_or_default(),
                    uri.path()
                )
            }
            Self::S3(object) => write!(f, "s3://{}/{}", object.bucket, object.key),
        }
    }
}

impl Object {
    fn parse(rest: &str) -> Result<Self, Error> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        // The length limits of the S3 bucket naming rules.
        let is_bucket = (3..=63).contains(&bucket.len()) && bucket.chars().all(is_name);
        if !is_bucket || key.is_empty() {
            return Err(usage(format!(
                "invalid object `s3://{rest}`; use `s3://bucket/key`"
            )));
        }

        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Returns whether S3 serves this object at a URL, in virtual-hosted or path style.
    fn is_served_at(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        let Some(service) = host.strip_suffix(".amazonaws.com") else {
            return false;
        };
        let Self { bucket, key } = self;
        // `s3`, `s3.REGION` and the older `s3-REGION`.
        let is_s3 = |name: &str| name == "s3" || name.starts_with("s3.") || name.starts_with("s3-");
        let in_host = service
            .strip_prefix(bucket.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(is_s3);

        (in_host && path.strip_prefix('/') == Some(key))
            || (is_s3(service) && *path == format!("/{bucket}/{key}"))
    }
}

/// Returns the device and the inode of a file.
fn file_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Parses a URL that may contain unencoded spaces or non-ASCII characters, as in S3 events.
fn web_address(text: &str) -> Result<Uri, Error> {
    let invalid = || usage(format!("invalid URL `{text}`"));
    let encoded = utf8_percent_encode(text.trim(), URL_ENCODE_SET).to_string();
    let uri: Uri = encoded.parse().map_err(|_| invalid())?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    Ok(uri)
}

fn usage(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// Characters to encode in a URL. `%` is not among them, so that existing escapes are kept.
const URL_ENCODE_SET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|');

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn parses_files_urls_and_objects() {
        assert_eq!(location("a/b.mp4"), Location::File("a/b.mp4".into()));
        assert_eq!(
            location("file:///a/b.mp4"),
            Location::File("/a/b.mp4".into())
        );
        assert_eq!(location("file:b.mp4"), Location::File("b.mp4".into()));

        let object = Object {
            bucket: "videos".into(),
            key: "2026/a video.mp4".into(),
        };

        assert_eq!(
            location("s3://videos/2026/a video.mp4"),
            Location::S3(object)
        );
        let Location::Http(uri) = location("https://example.com/a video ü.mp4?x=%20") else {
            unreachable!("an address")
        };
        assert_eq!(uri, "https://example.com/a%20video%20%C3%BC.mp4?x=%20");
    }

    #[test]
    fn rejects_unsupported_locations() {
        for text in [
            "",
            "ftp://a/b",
            "s3://bucket",
            "s3://b/k",
            "s3://a b c/k",
            "http://",
            // A libav protocol that opens other files.
            "concat:a|b://x",
        ] {
            assert_eq!(
                text.parse::<Location>().unwrap_err().kind(),
                ErrorKind::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn recognizes_an_object_in_every_notation() {
        let video = location("s3://videos/2026/a video.mp4");
        for same in [
            "s3://videos/2026/a video.mp4",
            "https://videos.s3.amazonaws.com/2026/a video.mp4?X-Amz-Signature=1",
            "https://videos.s3.eu-west-1.amazonaws.com/2026/a%20video.mp4",
            "https://s3.eu-west-1.amazonaws.com/videos/2026/a%20video.mp4",
        ] {
            assert!(
                video.is_same_as(&location(same)) && location(same).is_same_as(&video),
                "{same}"
            );
        }

        for other in [
            "s3://videos/2026/a video.jpg",
            "s3://video/2026/a video.mp4",
            "2026/a video.mp4",
            "https://videos.s3.amazonaws.com/a video.mp4",
            "https://videos.example.com/2026/a video.mp4",
        ] {
            assert!(!video.is_same_as(&location(other)), "{other}");
        }
    }

    #[test]
    fn a_missing_file_is_not_the_same_as_itself() {
        assert!(!location("no-such.mp4").is_same_as(&location("no-such.mp4")));
    }

    #[test]
    fn hides_credentials_and_signatures() {
        let text = location("https://me:secret@example.com/a.mp4?X-Amz-Signature=1").to_string();
        assert_eq!(text, "https://example.com/a.mp4");
    }

    #[test]
    fn returns_the_stem_or_a_default() {
        assert_eq!(location("s3://videos/2026/a video.mp4").stem(), "a video");
        assert_eq!(location("http://example.com/").stem(), "thumbnail");
    }
}
