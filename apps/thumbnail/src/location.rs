//! Where a film is read from and a picture goes to: `film.mp4`, `https://…`, `s3://bucket/key`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{Error, Kind};

/// A place that bytes can be read from or written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file on this machine.
    File(PathBuf),
    /// Something on a web server. Only for reading.
    Http(Uri),
    /// An object in S3, or in something that speaks its language.
    S3(Object),
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bucket's name.
    pub bucket: String,
    /// The key, as it is: not percent-encoded.
    pub key: String,
}

impl Location {
    /// The last part of the name, without its extension.
    pub fn stem(&self) -> &str {
        let path = match self {
            Self::File(path) => path.to_str().unwrap_or_default(),
            Self::Http(uri) => uri.path(),
            Self::S3(object) => &object.key,
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        if stem.is_empty() { "thumbnail" } else { stem }
    }

    /// Whether both are one place: what is written to the one is then gone from the other.
    ///
    /// Files are compared as the file system knows them, through links and `./`; what is not
    /// there is no place yet.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => {
                identity(one).is_some_and(|id| identity(other) == Some(id))
            }
            (Self::S3(one), Self::S3(other)) => one == other,
            (Self::Http(uri), Self::S3(object)) | (Self::S3(object), Self::Http(uri)) => {
                object.is_at(uri)
            }
            _ => false,
        }
    }

    /// The name that an extension can be read from.
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
                "" => Err(usage("a place is missing; name a file or an address")),
                path => Ok(Self::File(PathBuf::from(path))),
            };
        };

        match scheme.to_ascii_lowercase().as_str() {
            "file" if rest.starts_with('/') => Ok(Self::File(PathBuf::from(rest))),
            "http" | "https" => web_address(text).map(Self::Http),
            "s3" => Ok(Self::S3(Object::parse(rest)?)),
            _ => Err(usage(format!(
                "`{text}` cannot be read; use a file, http://, https:// or s3://bucket/key"
            ))),
        }
    }
}

impl fmt::Display for Location {
    /// What reports and logs may say: without the query, where signatures are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(uri) => {
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
        let is_bucket = (3..=63).contains(&bucket.len()) && bucket.chars().all(is_name);
        if !is_bucket || key.is_empty() {
            return Err(usage(format!(
                "`s3://{rest}` is no object; write `s3://bucket/key`"
            )));
        }

        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Whether S3 itself gives this object at the address: the bucket in the host or in the path.
    fn is_at(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        let Some(service) = host.strip_suffix(".amazonaws.com") else {
            return false;
        };
        let Self { bucket, key } = self;
        let is_s3 = |name: &str| name == "s3" || name.starts_with("s3.") || name.starts_with("s3-");
        let in_host = service
            .strip_prefix(bucket.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(is_s3);

        (in_host && path.strip_prefix('/') == Some(key))
            || (is_s3(service) && *path == format!("/{bucket}/{key}"))
    }
}

/// The device and the inode of a file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Reads an address in which a space or an umlaut was left as it is, as S3 events give them.
fn web_address(text: &str) -> Result<Uri, Error> {
    let refuse = || usage(format!("`{text}` is no address; check it"));
    let encoded = utf8_percent_encode(text.trim(), NOT_IN_ADDRESSES).to_string();
    let uri: Uri = encoded.parse().map_err(|_| refuse())?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(refuse());
    }
    Ok(uri)
}

fn usage(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Usage, message)
}

/// What may not stand in an address. `%` may: what is encoded already stays so.
const NOT_IN_ADDRESSES: &AsciiSet = &CONTROLS
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
    fn reads_files_addresses_and_objects() {
        assert_eq!(location("a/b.mp4"), Location::File("a/b.mp4".into()));
        assert_eq!(
            location("file:///a/b.mp4"),
            Location::File("/a/b.mp4".into())
        );
        assert_eq!(location("file:b.mp4"), Location::File("b.mp4".into()));

        let object = Object {
            bucket: "films".into(),
            key: "2026/a film.mp4".into(),
        };

        assert_eq!(location("s3://films/2026/a film.mp4"), Location::S3(object));
        let Location::Http(uri) = location("https://example.com/a film ü.mp4?x=%20") else {
            unreachable!("an address")
        };
        assert_eq!(uri, "https://example.com/a%20film%20%C3%BC.mp4?x=%20");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in [
            "",
            "ftp://a/b",
            "s3://bucket",
            "s3://b/k",
            "s3://a b c/k",
            "http://",
            "concat:a|b://x",
        ] {
            assert_eq!(
                text.parse::<Location>().unwrap_err().kind(),
                Kind::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn one_object_is_one_place_however_it_is_written() {
        let film = location("s3://films/2026/a film.mp4");
        for same in [
            "s3://films/2026/a film.mp4",
            "https://films.s3.amazonaws.com/2026/a film.mp4?X-Amz-Signature=1",
            "https://films.s3.eu-west-1.amazonaws.com/2026/a%20film.mp4",
            "https://s3.eu-west-1.amazonaws.com/films/2026/a%20film.mp4",
        ] {
            assert!(
                film.is(&location(same)) && location(same).is(&film),
                "{same}"
            );
        }

        for other in [
            "s3://films/2026/a film.jpg",
            "s3://film/2026/a film.mp4",
            "2026/a film.mp4",
            "https://films.s3.amazonaws.com/a film.mp4",
            "https://films.example.com/2026/a film.mp4",
        ] {
            assert!(!film.is(&location(other)), "{other}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_no_place_yet() {
        assert!(!location("no-such.mp4").is(&location("no-such.mp4")));
    }

    #[test]
    fn a_signature_is_not_shown() {
        let shown = location("https://me:secret@example.com/a.mp4?X-Amz-Signature=1").to_string();
        assert_eq!(shown, "https://example.com/a.mp4");
    }

    #[test]
    fn the_stem_names_the_picture() {
        assert_eq!(location("s3://films/2026/a film.mp4").stem(), "a film");
        assert_eq!(location("http://example.com/").stem(), "thumbnail");
    }
}
