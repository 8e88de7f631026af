//! A limit on the headers of tar archives.

use std::cell::Cell;
use std::io::{self, Read};

use tar::{Entry, EntryType};

/// Limits what the tar crate reads before it returns an entry: it keeps long names and extended headers in memory,
/// however large they are.
pub(super) struct HeaderLimit<'l, R> {
    pub(super) content: R,
    pub(super) left: &'l Cell<u64>,
}

impl<R: Read> Read for HeaderLimit<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left.get()).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        if length == 0 && !buffer.is_empty() {
            let message = "the name or another header of an entry is larger than 4 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.content.read(&mut buffer[..length])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

/// Returns how much may be read until the next entry: the content of this one, and the headers of the next.
pub(super) fn bytes_until_next(entry: &Entry<'_, impl Read>) -> u64 {
    let size = match entry.header().entry_type() {
        // The size of the file with its holes is not that in the archive.
        EntryType::GNUSparse => entry.header().entry_size().unwrap_or_default(),
        _ => entry.size(),
    };
    size.saturating_add(MAX_HEADER_BYTES)
}

/// Linux limits a path to 4 KiB and an extended attribute to 64 KiB.
pub(super) const MAX_HEADER_BYTES: u64 = 4 << 20;
