//! The settings of `thumbnail`.

use std::net::SocketAddr;
use std::time::Instant;

use chassis::http::client::{AddressPolicy, ProxySettings};
use chassis::http::{BodyLimits, BodyPool, Limits};
use chassis::memory::MemoryBudget;
use chassis::{HumanDuration, Problem, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::client::new_client;
use crate::location::Location;
use crate::process::ProcessLimits;
use crate::s3::Aws;
use crate::source::http::Redirects;
use crate::source::spool::SpoolBudget;
use crate::{Error, Fit, Format, Position, Request, Seek};

/// The settings of `thumbnail`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address that the service listens on.
    pub listen: SocketAddr,
    /// Input of `run`: a file, http://, https:// or s3://bucket/key.
    pub input: String,
    /// Output of `run`: a file or s3://bucket/key. Empty: named after the input, in the working
    /// directory or the input's bucket.
    pub output: String,
    /// Position in the video: seconds (`12.5`), `1:02:03.5` or a percentage of its duration (`50%`).
    /// Empty: `10%`.
    pub at: String,
    /// Frame to select: `before` is the last keyframe at or before the position, `exact` the frame that
    /// a player shows there.
    pub seek: Seek,
    /// Maximum width of the picture, in pixels; 0 for no limit.
    pub width: u32,
    /// Maximum height of the picture, in pixels; 0 for no limit.
    pub height: u32,
    /// Format of the picture. Unset: by the extension of `output`, or else `jpeg`.
    pub format: Option<Format>,
    /// JPEG quality, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
    /// Maximum time to make a picture.
    pub timeout: HumanDuration,
    /// Maximum number of pixels in a frame of the video.
    pub max_pixels: u64,
    /// Maximum memory of the process that decodes a video, in bytes; a video that needs more is refused.
    pub max_decoder_memory_bytes: u64,
    /// Maximum number of bytes to read from a remote video.
    pub max_fetch_bytes: u64,
    /// PEM file of certificate authorities to trust for https:// in addition to the built-in ones.
    pub ca_file: String,
    /// Maximum size of a request body, in bytes.
    pub max_body_bytes: u64,
    /// Maximum size of a video in memory, in bytes; larger bodies go to a temporary file.
    pub max_memory_body_bytes: u64,
    /// Maximum time to receive a request body.
    pub body_timeout: HumanDuration,
    /// Minimum rate at which a request body must arrive, in any 5 s; 0 is none.
    pub min_body_bytes_per_second: usize,
    /// Prefixes of the URLs that clients may request with `src`:
    /// `https://media.example.com/videos/` or `s3://bucket/videos/`. Empty: none.
    pub sources: Vec<String>,
    /// Allow `src` to resolve to addresses outside the public internet.
    pub insecure_private_sources: bool,
    /// Allow `src` to be fetched through the proxy of the environment, which must itself refuse private
    /// addresses: it resolves the names.
    pub insecure_proxied_sources: bool,
    /// Maximum number of pictures made concurrently; 0 for the number of cores.
    pub workers: usize,
    /// Maximum number of requests that wait for a worker; more are rejected with 503.
    pub max_queued_requests: usize,
    /// Limits of connections to the service.
    pub limits: Limits,
    /// Proxies for videos; no setting: the process reads them from its environment.
    #[serde(skip)]
    pub proxy: ProxySettings,
    /// Region and credentials of S3; no setting: the process reads the variables of the AWS SDKs.
    #[serde(skip)]
    pub aws: Aws,
    /// Memory of the process in bytes; no setting: the limit of the container, or else its least size.
    #[serde(skip, default = "least_memory")]
    pub memory_bytes: u64,
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
            timeout: HumanDuration::from_secs(30),
            max_pixels: 8192 * 8192,
            max_decoder_memory_bytes: 224 * MIB,
            max_fetch_bytes: 256 * MIB,
            ca_file: String::new(),
            max_body_bytes: 256 * MIB,
            max_memory_body_bytes: 8 * MIB,
            body_timeout: HumanDuration::from_secs(120),
            min_body_bytes_per_second: 1024,
            sources: Vec::new(),
            insecure_private_sources: false,
            insecure_proxied_sources: false,
            workers: 0,
            max_queued_requests: 16,
            limits: Limits::default(),
            proxy: ProxySettings::none(),
            aws: Aws::default(),
            memory_bytes: least_memory(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut report = |setting: &str, message: String, hint: &str| {
            problems.push(Problem::new(setting, message, hint));
        };

        for (setting, location) in [("input", &self.input), ("output", &self.output)] {
            if let Err(error) = location.parse::<Location>()
                && !location.is_empty()
            {
                report(
                    setting,
                    error.to_string(),
                    "use a file, a URL or s3://bucket/key",
                );
            }
        }

        if let Err(error) = self.position() {
            report("at", error.to_string(), "set it to `10%`");
        }
        for (setting, side) in [("width", self.width), ("height", self.height)] {
            if side > MAX_SIDE {
                report(
                    setting,
                    format!("is greater than {MAX_SIDE}"),
                    "set a smaller value",
                );
            }
        }

        if !(1..=100).contains(&self.quality) {
            report(
                "quality",
                "is not between 1 and 100".to_owned(),
                "set it to 85",
            );
        }

        // Less does not even hold the program and its smallest frame.
        if self.max_decoder_memory_bytes < 16 * MIB {
            report(
                "max_decoder_memory_bytes",
                "is less than 16777216".to_owned(),
                "set it to 234881024 (224 MiB)",
            );
        }

        for source in &self.sources {
            // A file would let clients read the file system of the host.
            if !matches!(source.parse(), Ok(Location::Http(_) | Location::S3(_))) {
                let hint = "use the prefix of a URL, with a path";
                report("sources", format!("`{source}` is not a URL prefix"), hint);
            }
        }

        problems
    }
}

impl Config {
    /// Returns the request for a picture; its deadline starts now.
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

    /// Returns the limits of the process that decodes.
    pub(crate) fn process_limits(&self) -> ProcessLimits {
        ProcessLimits {
            max_memory_bytes: self.max_decoder_memory_bytes.min(self.decoding_memory()),
        }
    }

    /// Returns the memory for videos that are received, in bytes; more go to temporary files.
    fn body_memory(&self) -> u64 {
        self.memory_bytes / 64
    }

    /// Returns the memory for pictures in responses, in bytes.
    pub(crate) fn picture_memory(&self) -> u64 {
        self.memory_bytes / 64 * 3
    }

    /// Returns the memory for the processes that decode, in bytes.
    pub(crate) fn decoding_memory(&self) -> u64 {
        let others = self.body_memory() + self.picture_memory() + PROCESS_BYTES;
        self.memory_bytes.saturating_sub(others)
    }

    /// Returns the limits of request bodies, and what they share.
    pub(crate) fn spool_budget(&self) -> SpoolBudget {
        let limits = BodyLimits {
            timeout: self.body_timeout.duration(),
            min_bytes_per_second: self.min_body_bytes_per_second,
        };
        let memory = MemoryBudget::new(self.body_memory() as usize);
        SpoolBudget {
            max_bytes: self.max_body_bytes,
            max_memory_bytes: self.max_memory_body_bytes,
            bodies: BodyPool::new(limits, memory),
            files: MemoryBudget::new(MAX_FILE_BYTES),
        }
    }

    /// Returns access to files, web servers and S3.
    pub(crate) fn access(&self) -> Result<Access, Error> {
        let client = new_client(&self.ca_file, self.proxy.clone())?;
        Ok(Access {
            s3_client: client.clone(),
            client,
            aws: self.aws.clone(),
            budget: SpoolBudget {
                max_bytes: self.max_fetch_bytes,
                ..self.spool_budget()
            },
            // The default for `run`; the service replaces it in `for_clients`.
            redirects: Redirects::Follow,
        })
    }

    /// Returns the addresses of the URLs that clients of the service choose.
    pub(crate) fn source_addresses(&self) -> AddressPolicy {
        if self.insecure_private_sources {
            AddressPolicy::Any
        } else if self.insecure_proxied_sources {
            AddressPolicy::PublicOrProxied
        } else {
            AddressPolicy::PublicOnly
        }
    }

    // Not the first frame by default: many videos start with black.
    fn position(&self) -> Result<Position, Error> {
        if self.at.is_empty() {
            Ok(Position::Share(0.1))
        } else {
            self.at.parse()
        }
    }
}

/// The maximum for `width` and `height`.
pub(crate) const MAX_SIDE: u32 = 8192;
const MIB: u64 = 1024 * 1024;
/// The program, its threads, what two decoding processes share with it, and the buffers of its connections.
const PROCESS_BYTES: u64 = 32 * MIB;
/// The space for the temporary files of all requests: less than half of the 20 GiB that a Fargate task has.
const MAX_FILE_BYTES: usize = 8 << 30;

/// The least memory of a container, `size` in `component.yaml`.
fn least_memory() -> u64 {
    512 * MIB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_defaults() {
        assert!(Config::default().problems().is_empty());
    }

    #[test]
    fn reports_all_problems_together() {
        let config = Config {
            input: "ftp://a/b".to_owned(),
            at: "noon".to_owned(),
            width: 100_000,
            quality: 0,
            sources: vec!["media".to_owned()],
            ..Config::default()
        };

        let problems = config.problems();
        let settings: Vec<&str> = problems
            .iter()
            .map(|problem| problem.setting.as_str())
            .collect();
        assert_eq!(settings, ["input", "at", "width", "quality", "sources"]);
    }
}
