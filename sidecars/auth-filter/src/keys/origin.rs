//! Where the keys of the issuer are published.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::fetch::{FetchFault, Fetcher};
use super::set::{KeySet, SetFault};
use crate::jws::{Algorithm, object};

/// A place to load a key set from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// An address.
    Url(Uri),
    /// Wherever the issuer's OpenID configuration says.
    Discovery {
        /// The issuer, which the configuration must name too.
        issuer: String,
        /// Where the configuration is.
        configuration: Uri,
    },
}

/// A text that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a file nor an http or https address")]
pub struct SourceFault(String);

/// A source, and what is needed to load key sets from it.
#[derive(Clone, Debug)]
pub struct Origin {
    source: Source,
    fetcher: Fetcher,
    allowed: Vec<Algorithm>,
}

/// Why no key set could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadFault {
    /// The file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The document cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchFault),
    /// The OpenID configuration is not one.
    #[error("`{0}` is not an OpenID configuration with `issuer` and `jwks_uri`")]
    Configuration(Uri),
    /// The OpenID configuration is that of another issuer.
    #[error("the OpenID configuration is of `{found}`, not of `{wanted}`")]
    Issuer {
        /// The issuer of the settings.
        wanted: String,
        /// The issuer of the document.
        found: String,
    },
    /// What was loaded is no key set that can be used.
    #[error(transparent)]
    Set(#[from] SetFault),
    /// It took too long.
    #[error("loading the keys took longer than {} s", Origin::LIMIT.as_secs())]
    TooSlow,
}

impl Source {
    /// Reads the setting: a path, `file:` and a path, an address, or nothing for discovery.
    pub fn new(jwks: &str, issuer: &str) -> Result<Self, SourceFault> {
        if jwks.is_empty() {
            return Self::discovery(issuer);
        }
        if let Some(path) = jwks.strip_prefix("file:") {
            // `file:///x` and `file:/x` are the same path.
            return Ok(Self::File(path.strip_prefix("//").unwrap_or(path).into()));
        }

        if jwks.contains("://") {
            return Ok(Self::Url(address(jwks)?));
        }
        Ok(Self::File(jwks.into()))
    }

    fn discovery(issuer: &str) -> Result<Self, SourceFault> {
        let base = issuer.trim_end_matches('/');
        let configuration = address(&format!("{base}/.well-known/openid-configuration"))?;
        Ok(Self::Discovery {
            issuer: issuer.to_owned(),
            configuration,
        })
    }
}

impl Origin {
    /// How long one load may take, discovery and all.
    pub const LIMIT: Duration = Duration::from_secs(12);

    /// Key sets from `source`, with keys for the `allowed` algorithms.
    pub fn new(source: Source, fetcher: Fetcher, allowed: Vec<Algorithm>) -> Self {
        Self {
            source,
            fetcher,
            allowed,
        }
    }

    /// Where the keys come from, for people to read.
    pub fn place(&self) -> String {
        match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Url(url) => url.to_string(),
            Source::Discovery { configuration, .. } => configuration.to_string(),
        }
    }

    /// Loads the key set as it is now.
    pub async fn load(&self) -> Result<KeySet, LoadFault> {
        let document = timeout(Self::LIMIT, self.document()).await;
        let document = document.unwrap_or(Err(LoadFault::TooSlow))?;
        Ok(KeySet::parse(&document, &self.allowed)?)
    }

    async fn document(&self) -> Result<Bytes, LoadFault> {
        match &self.source {
            Source::File(path) => {
                let unreadable = |source| LoadFault::File {
                    path: path.clone(),
                    source,
                };
                read(path).await.map_err(unreadable)
            }
            Source::Url(url) => Ok(self.fetcher.get(url).await?),
            Source::Discovery {
                issuer,
                configuration,
            } => {
                let url = self.discovered(issuer, configuration).await?;
                Ok(self.fetcher.get(&url).await?)
            }
        }
    }

    async fn discovered(&self, wanted: &str, configuration: &Uri) -> Result<Uri, LoadFault> {
        let document = self.fetcher.get(configuration).await?;
        let broken = || LoadFault::Configuration(configuration.clone());
        let found: Configuration = object(&document).ok_or_else(broken)?;
        if found.issuer != wanted {
            return Err(LoadFault::Issuer {
                wanted: wanted.to_owned(),
                found: found.issuer,
            });
        }
        address(&found.jwks_uri).map_err(|_| broken())
    }
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

fn address(text: &str) -> Result<Uri, SourceFault> {
    let url: Uri = text.parse().map_err(|_| SourceFault(text.to_owned()))?;
    let known = matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    if known {
        Ok(url)
    } else {
        Err(SourceFault(text.to_owned()))
    }
}

async fn read(path: &Path) -> io::Result<Bytes> {
    let file = tokio::fs::File::open(path).await?;
    let mut bytes = Vec::new();
    let most = Fetcher::MAX_BYTES as u64;
    file.take(most + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > most {
        let message = format!("longer than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_way_to_name_a_place() {
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
        } = source("")
        else {
            panic!()
        };

        assert_eq!(issuer, "https://issuer.test/");
        assert_eq!(
            configuration,
            "https://issuer.test/.well-known/openid-configuration"
        );
    }

    #[test]
    fn refuses_other_schemes() {
        for text in ["ftp://issuer.test/keys", "https://", "https:// x"] {
            assert!(Source::new(text, "https://issuer.test").is_err(), "{text}");
        }
        assert!(Source::new("", "issuer.test").is_err());
    }
}
