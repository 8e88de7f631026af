//! Parses the query of a request to the service, and checks `src` against `sources`.

use http::Uri;
use percent_encoding::percent_decode_str;

use crate::location::{Location, Object};
use crate::settings::{Config, MAX_SIDE};
use crate::{Error, ErrorKind, Format, Position, Request, Seek};

/// The parameters of a request; the settings supply the others.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) source: Option<String>,
    at: Option<Position>,
    seek: Option<Seek>,
    width: Option<u32>,
    height: Option<u32>,
    format: Option<Format>,
    quality: Option<u8>,
}

impl Query {
    /// Parses a query; an unknown parameter is an error instead of being ignored.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Form encoding of spaces (WHATWG URL, application/x-www-form-urlencoded), decoded first so
            // that `%2B` stays a plus.
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value)
                .decode_utf8()
                .map_err(|_| usage(format!("`{name}` is not valid UTF-8")))?;
            query.set(name, &value)?;
        }
        Ok(query)
    }

    /// Returns the request for a picture; its deadline starts now.
    pub(crate) fn request(&self, config: &Config) -> Result<Request, Error> {
        let mut request = config.request()?;
        request.at = self.at.unwrap_or(request.at);
        request.seek = self.seek.unwrap_or(request.seek);
        request.fit.width = self.width.unwrap_or(request.fit.width);
        request.fit.height = self.height.unwrap_or(request.fit.height);
        request.format = self.format.unwrap_or(request.format);
        request.quality = self.quality.unwrap_or(request.quality);
        Ok(request)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "src" => self.source = Some(value.to_owned()),
            "at" => self.at = Some(value.parse()?),
            "seek" => self.seek = Some(parse_seek(value)?),
            "width" => self.width = Some(parse_number(name, value, MAX_SIDE)?),
            "height" => self.height = Some(parse_number(name, value, MAX_SIDE)?),
            "format" => self.format = Some(value.parse()?),
            "quality" => self.quality = Some(parse_number(name, value, 100)?.max(1) as u8),
            _ => {
                let known = "src, at, seek, width, height, format, quality";
                return Err(usage(format!("unknown parameter `{name}`; use {known}")));
            }
        }

        Ok(())
    }
}

/// The prefixes of the URLs that clients may use.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Location>);

impl Sources {
    pub(crate) fn new(prefixes: &[String]) -> Result<Self, Error> {
        prefixes
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Parses the location that a client requests, and returns it if it is allowed.
    pub(crate) fn allow(&self, text: &str) -> Result<Location, Error> {
        let location: Location = text.parse()?;
        if !has_parent_step(&location) && self.0.iter().any(|allowed| is_below(&location, allowed))
        {
            return Ok(location);
        }
        let message = "this URL is not covered by the setting `sources`";
        Err(Error::new(ErrorKind::SourceDenied, message))
    }
}

fn is_below(location: &Location, allowed: &Location) -> bool {
    match (location, allowed) {
        (Location::Http(location), Location::Http(allowed)) => {
            origin(location) == origin(allowed) && has_prefix(location.path(), allowed.path())
        }
        (Location::S3(location), Location::S3(allowed)) => {
            location.bucket == allowed.bucket && has_prefix(&location.key, &allowed.key)
        }
        _ => false,
    }
}

/// Compares whole path steps: `/videos` and `/videos/` allow `/videos/a`, but not `/videos-2/a`.
fn has_prefix(path: &str, allowed: &str) -> bool {
    let allowed = allowed.trim_end_matches('/');
    path.strip_prefix(allowed)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Returns scheme, host and port; user information is ignored.
fn origin(uri: &Uri) -> (Option<String>, Option<String>, u16) {
    let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
    let port = if scheme.as_deref() == Some("https") {
        443
    } else {
        80
    };

    (
        scheme,
        uri.host().map(str::to_ascii_lowercase),
        uri.port_u16().unwrap_or(port),
    )
}

/// Returns whether a path contains `..`, which a server may resolve to a path outside the prefix.
fn has_parent_step(location: &Location) -> bool {
    let path = match location {
        Location::Http(uri) => uri.path(),
        Location::S3(Object { key, .. }) => key,
        Location::File(_) => return true,
    };
    // Decoded, since servers treat `%2e%2e` like `..`; backslashes, since some servers accept them.
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.split(['/', '\\']).any(|step| step == "..")
}

fn parse_seek(value: &str) -> Result<Seek, Error> {
    match value {
        "before" => Ok(Seek::Before),
        "exact" => Ok(Seek::Exact),
        _ => Err(usage(format!(
            "unknown seek `{value}`; use `before` or `exact`"
        ))),
    }
}

fn parse_number(name: &str, value: &str, max: u32) -> Result<u32, Error> {
    let parsed = value.parse().ok().filter(|number| *number <= max);
    parsed.ok_or_else(|| usage(format!("`{name}` is not a number from 0 to {max}")))
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_parameters() {
        let query = Query::parse("at=50%25&width=1600&format=png&seek=exact").unwrap();
        let expected = Query {
            at: Some(Position::Share(0.5)),
            width: Some(1600),
            format: Some(Format::Png),
            seek: Some(Seek::Exact),
            ..Query::default()
        };
        assert_eq!(query, expected);
        assert_eq!(Query::parse("").unwrap(), Query::default());
    }

    #[test]
    fn rejects_unknown_and_invalid_parameters() {
        for text in [
            "widht=1",
            "width=-1",
            "width=100000",
            "format=gif",
            "at=noon",
            "at=%ff",
        ] {
            assert_eq!(
                Query::parse(text).unwrap_err().kind(),
                ErrorKind::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn allows_only_urls_below_the_sources() {
        let list = [
            "https://media.example.com/videos/".to_owned(),
            "s3://videos/public".to_owned(),
        ];
        let sources = Sources::new(&list).unwrap();

        for allowed in [
            "https://media.example.com/videos/a.mp4",
            "https://MEDIA.example.com:443/videos/b/a.mp4?x=1",
            "s3://videos/public/a.mp4",
        ] {
            assert!(sources.allow(allowed).is_ok(), "{allowed}");
        }

        for refused in [
            "http://media.example.com/videos/a.mp4",
            "https://media.example.com/other/a.mp4",
            "https://media.example.com/videos/../other/a.mp4",
            "https://media.example.com/videos/%2e%2e/other/a.mp4",
            // The allowed host as a prefix of another host, and as user information.
            "https://media.example.com.evil.example/videos/a.mp4",
            "https://media.example.com@evil.example/videos/a.mp4",
            "s3://videos/private/a.mp4",
            "s3://videos/publicity/a.mp4",
            "/etc/passwd",
            "file:///etc/passwd",
        ] {
            assert_eq!(
                sources.allow(refused).unwrap_err().kind(),
                ErrorKind::SourceDenied,
                "{refused}"
            );
        }
    }

    #[test]
    fn allows_nothing_by_default() {
        assert!(
            Sources::default()
                .allow("https://example.com/a.mp4")
                .is_err()
        );
    }
}
