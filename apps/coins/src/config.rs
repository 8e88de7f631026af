//! The settings.

use std::net::{Ipv4Addr, SocketAddr};

use chassis::http::{Limits, Upstream, UpstreamLimits};
use chassis::{HumanDuration, Problem, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo::PhotoLimits;

/// The settings of the coin counter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address the service listens on.
    pub listen: SocketAddr,
    /// Base URL of a thumbnail service; with it, videos are accepted as well.
    #[schemars(url)]
    pub thumbnail: Option<String>,
    /// Number of photos counted at once; 0 means one per processor. Large photos are counted one after
    /// the other if the memory is not enough.
    pub workers: usize,
    /// Number of photos that may wait for a worker; further ones get 503.
    pub max_queued_requests: usize,
    /// Maximum size of a photo in bytes.
    pub max_body_bytes: usize,
    /// How long the body of a request may take to arrive.
    pub body_timeout: HumanDuration,
    /// Minimum rate at which the body of a request must arrive, in any 5 s; 0 is none.
    pub min_body_bytes_per_second: usize,
    /// Maximum number of pixels of a photo.
    pub max_pixels: u64,
    /// Maximum width and height of a photo in pixels.
    pub max_side_pixels: u32,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the thumbnail service.
    pub thumbnail_limits: UpstreamLimits,
    /// Memory of the process in bytes; no setting: the limit of the container, or else its least size.
    #[serde(skip, default = "least_memory")]
    pub memory_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            thumbnail: None,
            workers: 0,
            max_queued_requests: 16,
            max_body_bytes: 20 << 20,
            body_timeout: HumanDuration::from_secs(30),
            min_body_bytes_per_second: 1024,
            max_pixels: 50_000_000,
            max_side_pixels: 16_384,
            limits: Limits::default(),
            thumbnail_limits: UpstreamLimits::default(),
            memory_bytes: least_memory(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(Err(error)) = self.thumbnail_service() {
            problems.push(Problem::new(
                "thumbnail",
                format!("is not usable: {}", error.reason()),
                "write it like http://127.0.0.1:8090",
            ));
        }

        if self.max_body_bytes == 0 {
            problems.push(Problem::new(
                "max_body_bytes",
                "is 0",
                "set the maximum size of a photo in bytes",
            ));
        }

        problems
    }
}

impl Config {
    /// Returns the thumbnail service, if configured.
    pub(crate) fn thumbnail_service(
        &self,
    ) -> Option<Result<Upstream, chassis::http::ParseUpstreamError>> {
        let base = self.thumbnail.as_deref().filter(|base| !base.is_empty())?;
        Some(Upstream::new(base, self.thumbnail_limits.clone()))
    }

    /// Returns the memory for the bodies of requests, from their first byte to their response, in bytes.
    pub(crate) fn body_memory(&self) -> usize {
        (self.memory_bytes / 8) as usize
    }

    /// Returns the memory for pictures in responses, in bytes.
    pub(crate) fn picture_memory(&self) -> usize {
        (self.memory_bytes / 16) as usize
    }

    /// Returns the memory for decoding, in bytes.
    pub(crate) fn decoding_memory(&self) -> u64 {
        let others = (self.body_memory() + self.picture_memory()) as u64;
        self.memory_bytes.saturating_sub(others + PROCESS_BYTES)
    }

    /// Returns the limits of a photo.
    pub(crate) fn photo_limits(&self) -> PhotoLimits {
        PhotoLimits {
            max_pixels: self.max_pixels,
            max_side_pixels: self.max_side_pixels,
            max_memory_bytes: self.decoding_memory(),
        }
    }

    /// Returns the number of photos counted at once.
    pub(crate) fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        }
    }
}

/// The least memory of a container, `size` in `component.yaml`.
fn least_memory() -> u64 {
    512 << 20
}

/// The program, its models and threads, and the buffers of its connections.
const PROCESS_BYTES: u64 = 48 << 20;
