//! Where bytes come from: files, memory, and ranges of what lies on a server.
//!
//! All of them are one [`RangeSource`]: a size, and reads anywhere in it. What is far away is read
//! through a [`window::Window`], so that a picture out of a gigabyte costs some hundred kilobytes.

pub(crate) mod http;
mod local;
pub(crate) mod spool;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};

pub use local::{FileSource, MemorySource};

use crate::Error;

/// Bytes of a known number, readable at any place.
pub trait RangeSource: Send {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Reads some bytes from `offset` on into `buffer`; 0 means that there are none there.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error>;
}

/// What reading a source has cost so far.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Traffic {
    /// Bytes read from the file or from the network.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Requests made over the network.
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
