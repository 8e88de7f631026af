//! Where the keys of an issuer are published.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::fetch::{FetchError, Fetcher};
use super::set::{KeySet, KeySetError};
use crate::claims::TENANT;
use crate::jws::{Algorithm, parse_document};

/// A location of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(Uri),
    /// The `jwks_uri` of the issuer's OpenID configuration.
    Discovery {
        /// The issuer; the configuration must contain the same one.
        issuer: String,
        /// The URL of the configuration.
        configuration: Uri,
        /// The URL of its OAuth metadata (RFC 8414), read if there is no OpenID configuration.
        oauth: Option<Uri>,
    },
}

/// An invalid location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither a file nor an http or https URL without user name and password")]
pub struct SourceError;

/// A source with everything needed to load key sets from it.
#[derive(Clone, Debug)]
pub struct Origin {
    source: Source,
    fetcher: Fetcher,
    allowed: Vec<Algorithm>,
}

/// Why a key set could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The document cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The OpenID configuration is invalid.
    #[error("`{0}` is not a metadata document with `issuer` and `jwks_uri`")]
    Configuration(Uri),
    /// The OpenID configuration belongs to another issuer.
    #[error("the metadata document has the issuer `{found}` instead of `{expected}`")]
    Issuer {
        /// The issuer of the settings.
        expected: String,
        /// The issuer of the document.
        found: String,
    },
    /// The document is no usable key set.
    #[error(transparent)]
    Set(#[from] KeySetError),
    /// It took longer than [`Origin::TIMEOUT`].
    #[error("loading the keys took longer than {} s", Origin::TIMEOUT.as_secs())]
    Timeout,
}

impl Source {
    /// Parses the setting: a path, `file:` and a path, a URL, or nothing for discovery.
    pub fn new(jwks: &str, issuer: &str) -> Result<Self, SourceError> {
        if jwks.is_empty() {
            return Self::discovery(issuer);
        }
        if let Some(path) = jwks.strip_prefix("file:") {
            // `file:///x` and `file:/x` are the same path.
            return Ok(Self::File(path.strip_prefix("//").unwrap_or(path).into()));
        }

        if jwks.contains("://") {
            return Ok(Self::Url(parse_url(jwks)?));
        }
        Ok(Self::File(jwks.into()))
    }

    /// Returns the source that is described by the metadata document at `url`.
    pub fn from_metadata(url: &str, issuer: &str) -> Result<Self, SourceError> {
        Ok(Self::Discovery {
            issuer: issuer.to_owned(),
            configuration: parse_url(url)?,
            oauth: None,
        })
    }

    fn discovery(issuer: &str) -> Result<Self, SourceError> {
        // OpenID Connect Discovery 1.0 section 4: a trailing slash is removed before appending the
        // path.
        let base = issuer.trim_end_matches('/');
        // The keys of all tenants of Microsoft Entra ID are described under this name.
        let base = base.replace(TENANT, "organizations");
        let configuration = parse_url(&format!("{base}/.well-known/openid-configuration"))?;
        Ok(Self::Discovery {
            issuer: issuer.to_owned(),
            configuration,
            oauth: Some(parse_url(&oauth_metadata(&base)?)?),
        })
    }
}

/// Returns the URL of OAuth metadata: the well-known path goes between host and path (RFC 8414
/// section 3).
fn oauth_metadata(issuer: &str) -> Result<String, SourceError> {
    let (scheme, rest) = issuer.split_once("://").ok_or(SourceError)?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    Ok(format!(
        "{scheme}://{host}/.well-known/oauth-authorization-server{path}"
    ))
}

impl Origin {
    /// Timeout for one load, including discovery.
    pub const TIMEOUT: Duration = Duration::from_secs(12);

    /// Creates an origin for keys with the `allowed` algorithms.
    pub fn new(source: Source, fetcher: Fetcher, allowed: Vec<Algorithm>) -> Self {
        Self {
            source,
            fetcher,
            allowed,
        }
    }

    /// Returns the location for log messages.
    pub fn location(&self) -> String {
        match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Url(url) => url.to_string(),
            Source::Discovery { configuration, .. } => configuration.to_string(),
        }
    }

    /// Loads the current key set.
    pub async fn load(&self) -> Result<KeySet, LoadError> {
        let document = timeout(Self::TIMEOUT, self.document())
            .await
            .unwrap_or(Err(LoadError::Timeout))?;
        Ok(KeySet::parse(&document, &self.allowed)?)
    }

    async fn document(&self) -> Result<Bytes, LoadError> {
        match &self.source {
            Source::File(path) => {
                let unreadable = |source| LoadError::File {
                    path: path.clone(),
                    source,
                };
                read(path).await.map_err(unreadable)
            }
            Source::Url(url) => Ok(self.fetcher.get(url).await?),
            Source::Discovery {
                issuer,
                configuration,
                oauth,
            } => {
                let url = match (self.discover(issuer, configuration).await, oauth) {
                    // Only "not found" says that the issuer has no such document.
                    (Err(LoadError::Fetch(FetchError::Status { status, .. })), Some(oauth))
                        if status == StatusCode::NOT_FOUND =>
                    {
                        self.discover(issuer, oauth).await?
                    }
                    (found, _) => found?,
                };
                Ok(self.fetcher.get(&url).await?)
            }
        }
    }

    async fn discover(&self, expected: &str, configuration: &Uri) -> Result<Uri, LoadError> {
        let document = self.fetcher.get(configuration).await?;
        let invalid = || LoadError::Configuration(configuration.clone());
        let found: OpenIdConfiguration = parse_document(&document).ok_or_else(invalid)?;
        // Required by OpenID Connect Discovery 1.0 section 4.3: otherwise one issuer could provide
        // the keys of another.
        if found.issuer != expected {
            return Err(LoadError::Issuer {
                expected: expected.to_owned(),
                found: found.issuer,
            });
        }
        parse_url(&found.jwks_uri).map_err(|_| invalid())
    }
}

#[derive(Deserialize)]
struct OpenIdConfiguration {
    issuer: String,
    jwks_uri: String,
}

fn parse_url(text: &str) -> Result<Uri, SourceError> {
    let url: Uri = text.parse().map_err(|_| SourceError)?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    // Credentials in a URL would be logged with it (RFC 9110 section 4.2.4).
    let has_credentials = url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    if is_http && !has_credentials {
        Ok(url)
    } else {
        Err(SourceError)
    }
}

async fn read(path: &Path) -> io::Result<Bytes> {
    let file = tokio::fs::File::open(path).await?;
    let mut bytes = Vec::new();
    let limit = Fetcher::MAX_BYTES as u64;
    // One byte more than allowed tells a document at the limit from a longer one.
    file.take(limit + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > limit {
        let message = format!("longer than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_files_urls_and_discovery() {
        let source = |jwks| Source::new(jwks, "https://issuer.test/").unwrap();
        let file = Source::File("/keys/jwks.json".into());
        for text in [
            "/keys/jwks.json",
            "file:/keys/jwks.json",
            "file:///keys/jwks.json",
        ] {
            assert_eq!(source(text), file, "{text}");
        }

        assert_eq!(source("jwks.json"), Source::File("jwks.json".into()));
        let url = "https://issuer.test/keys";
        assert_eq!(source(url), Source::Url(url.parse().unwrap()));
        let Source::Discovery {
            issuer,
            configuration,
            oauth,
        } = source("")
        else {
            panic!()
        };

        assert_eq!(issuer, "https://issuer.test/");
        assert_eq!(
            configuration,
            "https://issuer.test/.well-known/openid-configuration"
        );
        let expected = "https://issuer.test/.well-known/oauth-authorization-server";
        assert_eq!(oauth.unwrap(), expected);
    }

    #[test]
    fn puts_the_well_known_path_of_oauth_metadata_before_the_path() {
        let found = oauth_metadata("https://issuer.test/realms/a").unwrap();
        let expected = "https://issuer.test/.well-known/oauth-authorization-server/realms/a";
        assert_eq!(found, expected);
    }

    #[test]
    fn rejects_other_schemes() {
        for text in ["ftp://issuer.test/keys", "https://", "https:// x"] {
            assert!(Source::new(text, "https://issuer.test").is_err(), "{text}");
        }
        assert!(Source::new("", "issuer.test").is_err());
    }
}
