//! Everything about `thumbnail` that can be set from outside.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use chassis::http::Limits;
use chassis::{Period, Problem, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::client::{Network, Reach};
use crate::location::Location;
use crate::s3::Aws;
use crate::source::http::Redirects;
use crate::source::spool::Room;
use crate::{Error, Fit, Format, Kind, Position, Request, Seek};

/// The settings of `thumbnail`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address the service listens on.
    pub listen: SocketAddr,
    /// Film that `run` makes a picture of: a file, http://, https:// or s3://bucket/key.
    pub input: String,
    /// Place that `run` stores the picture at: a file or s3://bucket/key. Empty: the film's name,
    /// here.
    pub output: String,
    /// Moment of the film: seconds (`12.5`), `1:02:03.5` or a share of its length (`50%`). Empty:
    /// `10%`.
    pub at: String,
    /// Frame that is taken: `before` is the last keyframe before the moment, `exact` the one a
    /// player shows then.
    pub seek: Seek,
    /// Widest the picture may be, in pixels; 0 for as wide as the film.
    pub width: u32,
    /// Highest the picture may be, in pixels; 0 for any.
    pub height: u32,
    /// Format of the picture: `jpeg` or `png`. Unset: by the extension of `output`, else `jpeg`.
    pub format: Option<Format>,
    /// Quality of a JPEG, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
    /// Longest that making one picture may take.
    pub timeout: Period,
    /// Most pixels that a frame of the film may have.
    pub max_pixels: u64,
    /// Most bytes that are read of a film that is not a local file.
    pub max_fetch: u64,
    /// File of PEM certificates of more authorities to trust for https://.
    pub ca_file: String,
    /// Most bytes that a film sent to the service may have.
    pub max_body: u64,
    /// Bytes of a film sent to the service that are kept in memory; longer ones go to a temporary
    /// file.
    pub memory_body: u64,
    /// Longest that sending a film to the service may take.
    pub upload_timeout: Period,
    /// Addresses that clients of the service may name in `src`, by their beginnings:
    /// `https://media.example.com/films/` or `s3://bucket/films/`. Empty: none.
    pub sources: Vec<String>,
    /// Allows `src` to lead to addresses that are not on the public internet.
    pub insecure_private_sources: bool,
    /// Pictures the service makes at the same time; 0 for as many as there are cores.
    pub workers: usize,
    /// Requests of the service that may wait for a worker; more are answered 503.
    pub queue: usize,
    /// Limits of the service's connections.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            input: String::new(),
            output: String::new(),
            at: String::new(),
            seek: Seek::Before,
            width: 640,
            height: 0,
            format: None,
            quality: 85,
            timeout: Period::from_secs(30),
            max_pixels: 8192 * 8192,
            max_fetch: 256 * MIB,
            ca_file: String::new(),
            max_body: 256 * MIB,
            memory_body: 8 * MIB,
            upload_timeout: Period::from_secs(120),
            sources: Vec::new(),
            insecure_private_sources: false,
            workers: 0,
            queue: 16,
            limits: Limits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |setting: &str, message: String, hint: &str| {
            problems.push(Problem::new(setting, message, hint));
        };

        for (setting, place) in [("input", &self.input), ("output", &self.output)] {
            if let Err(error) = place.parse::<Location>()
                && !place.is_empty()
            {
                say(setting, error.to_string(), "name a file or an address");
            }
        }

        if let Err(error) = self.position() {
            say("at", error.to_string(), "set it to `10%`");
        }
        for (setting, side) in [("width", self.width), ("height", self.height)] {
            if side > LONGEST_SIDE {
                say(
                    setting,
                    format!("is more than {LONGEST_SIDE}"),
                    "set it lower",
                );
            }
        }

        if !(1..=100).contains(&self.quality) {
            say(
                "quality",
                "is not between 1 and 100".to_owned(),
                "set it to 85",
            );
        }

        for source in &self.sources {
            if !matches!(source.parse(), Ok(Location::Http(_) | Location::S3(_))) {
                let hint = "write the beginning of an address, with a path";
                say(
                    "sources",
                    format!("`{source}` is no beginning of addresses"),
                    hint,
                );
            }
        }

        problems
    }
}

impl Config {
    /// What one picture is to be like, from now on.
    pub(crate) fn request(&self) -> Result<Request, Error> {
        Ok(Request {
            at: self.position()?,
            seek: self.seek,
            fit: Fit {
                width: self.width,
                height: self.height,
            },
            format: self.format.unwrap_or(Format::Jpeg),
            quality: self.quality,
            max_pixels: self.max_pixels,
            deadline: Instant::now() + self.timeout.duration(),
        })
    }

    /// The ways to where films and pictures are.
    pub(crate) fn access(&self, aws: Aws) -> Result<Access, Error> {
        let authorities = self.authorities()?;
        Ok(Access {
            network: Network::new(Reach::Everywhere, authorities.as_deref())?,
            aws,
            room: Room {
                total: self.max_fetch,
                memory: self.memory_body,
            },
            redirects: Redirects::Follow,
        })
    }

    fn authorities(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.ca_file.is_empty() {
            return Ok(None);
        }
        std::fs::read(Path::new(&self.ca_file))
            .map(Some)
            .map_err(|error| {
                Error::new(Kind::Usage, format!("cannot read `{}`", self.ca_file)).because(error)
            })
    }

    fn position(&self) -> Result<Position, Error> {
        if self.at.is_empty() {
            Ok(Position::Share(0.1))
        } else {
            self.at.parse()
        }
    }
}

/// The longest side a picture may be asked to have.
pub(crate) const LONGEST_SIDE: u32 = 8192;
const MIB: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fine() {
        assert!(Config::default().problems().is_empty());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = Config {
            input: "ftp://a/b".to_owned(),
            at: "noon".to_owned(),
            width: 100_000,
            quality: 0,
            sources: vec!["media".to_owned()],
            ..Config::default()
        };

        let problems = config.problems();
        let settings: Vec<&str> = problems.iter().map(|it| it.setting.as_str()).collect();
        assert_eq!(settings, ["input", "at", "width", "quality", "sources"]);
    }
}
