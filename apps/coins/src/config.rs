//! The settings.

use std::net::{Ipv4Addr, SocketAddr};

use chassis::http::{Limits, Upstream, UpstreamLimits};
use chassis::{HumanDuration, Problem, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of the coin counter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address the service listens on.
    pub listen: SocketAddr,
    /// Base URL of a thumbnail service; with it, videos are accepted as well.
    #[schemars(url)]
    pub thumbnail: Option<String>,
    /// Number of photos counted at once; 0 means one per processor.
    pub workers: usize,
    /// Number of photos that may wait for a worker; further ones get 503.
    pub max_queued_requests: usize,
    /// Maximum size of a photo in bytes.
    pub max_body_bytes: usize,
    /// How long the body of a request may take to arrive.
    pub body_timeout: HumanDuration,
    /// Maximum number of pixels of a photo.
    pub max_pixels: u64,
    /// Maximum width and height of a photo in pixels.
    pub max_side_pixels: u32,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the thumbnail service.
    pub thumbnail_limits: UpstreamLimits,
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
            max_pixels: 50_000_000,
            max_side_pixels: 16_384,
            limits: Limits::default(),
            thumbnail_limits: UpstreamLimits::default(),
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

    /// Returns the number of photos counted at once.
    pub(crate) fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        }
    }
}
