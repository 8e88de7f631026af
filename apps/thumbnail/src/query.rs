//! What a client of the service asks for: the query of its request.

use http::Uri;
use percent_encoding::percent_decode_str;

use crate::location::{Location, Object};
use crate::settings::{Config, LONGEST_SIDE};
use crate::{Error, Format, Kind, Position, Request, Seek};

/// The parameters of a request; what is not named is as the settings say.
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
    /// Reads a query; a parameter that is not known is refused, since it would be ignored.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value)
                .decode_utf8()
                .map_err(|_| usage(format!("`{name}` is no text; encode it as UTF-8")))?;
            query.set(name, &value)?;
        }
        Ok(query)
    }

    /// What picture is wanted, from now on.
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
            "seek" => self.seek = Some(seek(value)?),
            "width" => self.width = Some(number(name, value, LONGEST_SIDE)?),
            "height" => self.height = Some(number(name, value, LONGEST_SIDE)?),
            "format" => self.format = Some(value.parse()?),
            "quality" => self.quality = Some(number(name, value, 100)?.max(1) as u8),
            _ => {
                let known = "src, at, seek, width, height, format, quality";
                return Err(usage(format!("`{name}` is not known; use {known}")));
            }
        }

        Ok(())
    }
}

/// The beginnings of addresses that clients may name.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<Location>);

impl Sources {
    pub(crate) fn new(beginnings: &[String]) -> Result<Self, Error> {
        beginnings
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The place that a client names, if it may.
    pub(crate) fn allow(&self, text: &str) -> Result<Location, Error> {
        let location: Location = text.parse()?;
        if !climbs(&location) && self.0.iter().any(|allowed| begins(&location, allowed)) {
            return Ok(location);
        }
        let message = "this address is not among the `sources` of the service";
        Err(Error::new(Kind::SourceDenied, message))
    }
}

fn begins(location: &Location, allowed: &Location) -> bool {
    match (location, allowed) {
        (Location::Http(location), Location::Http(allowed)) => {
            origin(location) == origin(allowed) && under(location.path(), allowed.path())
        }
        (Location::S3(location), Location::S3(allowed)) => {
            location.bucket == allowed.bucket && under(&location.key, &allowed.key)
        }
        _ => false,
    }
}

/// `/films` and `/films/` allow `/films/a`, and not `/films-of-others`.
fn under(path: &str, allowed: &str) -> bool {
    let allowed = allowed.trim_end_matches('/');
    path.strip_prefix(allowed)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Scheme, host and port; who the user is does not count, and is not passed on in the check.
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

/// Whether a path has steps up in it, which a server may follow out of what was allowed.
fn climbs(location: &Location) -> bool {
    let path = match location {
        Location::Http(uri) => uri.path(),
        Location::S3(Object { key, .. }) => key,
        Location::File(_) => return true,
    };
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.split(['/', '\\']).any(|step| step == "..")
}

fn seek(value: &str) -> Result<Seek, Error> {
    match value {
        "before" => Ok(Seek::Before),
        "exact" => Ok(Seek::Exact),
        _ => Err(usage(format!(
            "seek `{value}` is not known; use `before` or `exact`"
        ))),
    }
}

fn number(name: &str, value: &str, most: u32) -> Result<u32, Error> {
    let parsed = value.parse().ok().filter(|number| *number <= most);
    parsed.ok_or_else(|| usage(format!("`{name}` is not a number from 0 to {most}")))
}

fn usage(message: String) -> Error {
    Error::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_asked_for() {
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
    fn refuses_what_it_would_have_to_ignore() {
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
                Kind::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn only_addresses_below_the_sources_are_allowed() {
        let list = [
            "https://media.example.com/films/".to_owned(),
            "s3://films/public".to_owned(),
        ];
        let sources = Sources::new(&list).unwrap();

        for allowed in [
            "https://media.example.com/films/a.mp4",
            "https://MEDIA.example.com:443/films/b/a.mp4?x=1",
            "s3://films/public/a.mp4",
        ] {
            assert!(sources.allow(allowed).is_ok(), "{allowed}");
        }

        for refused in [
            "http://media.example.com/films/a.mp4",
            "https://media.example.com/other/a.mp4",
            "https://media.example.com/films/../other/a.mp4",
            "https://media.example.com/films/%2e%2e/other/a.mp4",
            "https://media.example.com.evil.example/films/a.mp4",
            "https://media.example.com@evil.example/films/a.mp4",
            "s3://films/private/a.mp4",
            "s3://films/publicity/a.mp4",
            "/etc/passwd",
            "file:///etc/passwd",
        ] {
            assert_eq!(
                sources.allow(refused).unwrap_err().kind(),
                Kind::SourceDenied,
                "{refused}"
            );
        }
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert!(
            Sources::default()
                .allow("https://example.com/a.mp4")
                .is_err()
        );
    }
}
