//! Sources of bytes: files, memory, and ranges on a server.
//!
//! All implement [`RangeSource`]: a size and reads at any offset. Remote sources are read through a
//! [`window::Window`], so that a picture of a video of 1 GB reads a few hundred kilobytes.

pub(crate) mod http;
mod local;
pub(crate) mod spool;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};

pub use local::{FileSource, MemorySource};

use crate::Error;

/// A source of a known size, readable at any offset.
pub trait RangeSource: Send {
    /// Returns the size, in bytes.
    fn size(&self) -> u64;

    /// Reads bytes at `offset` into `buffer`; returns 0 at or past the end.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error>;
}

/// Counts the bytes and requests that a source has read.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Traffic {
    /// Returns the bytes read from the file or the network.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the requests made over the network.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn add_bytes(&self, bytes: u64) -> u64 {
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    pub(crate) fn add_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}
