//! Turns the reads of a demuxer into few range requests, with read-ahead and a cache.
//!
//! The first request at an offset is small, since it may be the only one there; sequential reads
//! double the size of each request. Recent segments are cached, since demuxers alternate between an
//! index and the data.

use std::collections::VecDeque;

use bytes::Bytes;

use super::RangeSource;
use crate::{Error, ErrorKind};

/// Fetches ranges of bytes.
pub(crate) trait RangeFetcher: Send {
    /// Fetches `length` bytes at `offset`; the range is within the size.
    fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes, Error>;
}

/// A source that reads ranges.
pub(crate) struct Window<R> {
    ranges: R,
    size: u64,
    /// The cache; the most recently used segment is at the back.
    segments: VecDeque<Segment>,
    request_size: u64,
    sequential_at: u64,
    fetched: u64,
    max_fetch_bytes: u64,
}

struct Segment {
    offset: u64,
    bytes: Bytes,
}

impl<R: RangeFetcher> Window<R> {
    /// Creates a window over `size` bytes, of which the `first` ones are already fetched.
    pub(crate) fn new(ranges: R, size: u64, first: Bytes, max_fetch_bytes: u64) -> Self {
        let fetched = first.len() as u64;
        let segments = VecDeque::from([Segment {
            offset: 0,
            bytes: first,
        }]);

        Self {
            ranges,
            size,
            segments,
            request_size: FIRST_REQUEST,
            sequential_at: fetched,
            fetched,
            max_fetch_bytes,
        }
    }

    fn segment(&mut self, offset: u64) -> Result<Segment, Error> {
        match self
            .segments
            .iter()
            .position(|segment| segment.contains(offset))
        {
            // Removed here and pushed to the back by `read_at`: least recently used order.
            Some(index) => self.segments.remove(index).ok_or_else(missing_bytes_error),
            None => self.fetch(offset),
        }
    }

    fn fetch(&mut self, offset: u64) -> Result<Segment, Error> {
        self.request_size = if offset == self.sequential_at {
            (self.request_size * 2).min(MAX_REQUEST)
        } else {
            FIRST_REQUEST
        };

        // Never past the end, so that servers do not shorten the range.
        let length = self.request_size.min(self.size - offset);
        if self.fetched + length > self.max_fetch_bytes {
            let limit = self.max_fetch_bytes;
            let message = format!("more than {limit} bytes must be read; raise `max_fetch_bytes`");
            return Err(Error::new(ErrorKind::SourceTooBig, message));
        }

        let bytes = self.ranges.fetch(offset, length)?;
        self.fetched += bytes.len() as u64;
        self.sequential_at = offset + bytes.len() as u64;
        if self.segments.len() >= MAX_SEGMENTS {
            self.segments.pop_front();
        }

        Ok(Segment { offset, bytes })
    }
}

impl<R: RangeFetcher> RangeSource for Window<R> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        if offset >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let segment = self.segment(offset)?;
        let read = segment.copy(offset, buffer);
        self.segments.push_back(segment);
        if read == 0 {
            Err(missing_bytes_error())
        } else {
            Ok(read)
        }
    }
}

impl Segment {
    fn contains(&self, offset: u64) -> bool {
        offset >= self.offset && offset - self.offset < self.bytes.len() as u64
    }

    fn copy(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let rest = self
            .bytes
            .get((offset - self.offset) as usize..)
            .unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        read
    }
}

fn missing_bytes_error() -> Error {
    Error::new(
        ErrorKind::SourceNetwork,
        "the source returned no data before its end",
    )
}

/// The size of the first request at an offset, in bytes.
pub(crate) const FIRST_REQUEST: u64 = 64 * 1024;
/// The maximum size of a request, in bytes.
const MAX_REQUEST: u64 = 1024 * 1024;
/// The maximum number of cached segments.
const MAX_SEGMENTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns bytes with the value of their offset modulo 251, and records the requests.
    struct RecordingFetcher(std::sync::Arc<std::sync::Mutex<Vec<(u64, u64)>>>);

    impl RangeFetcher for RecordingFetcher {
        fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
            self.0.lock().unwrap().push((offset, length));
            Ok((offset..offset + length)
                .map(|at| (at % 251) as u8)
                .collect())
        }
    }

    type Requests = std::sync::Arc<std::sync::Mutex<Vec<(u64, u64)>>>;

    fn window(size: u64, max_fetch_bytes: u64) -> (Window<RecordingFetcher>, Requests) {
        let requests = Requests::default();
        let mut ranges = RecordingFetcher(requests.clone());
        let first = ranges.fetch(0, FIRST_REQUEST.min(size)).unwrap();
        (Window::new(ranges, size, first, max_fetch_bytes), requests)
    }

    fn read(window: &mut Window<RecordingFetcher>, offset: u64, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        let mut done = 0;
        while done < length {
            let read = window
                .read_at(offset + done as u64, &mut buffer[done..])
                .unwrap();
            if read == 0 {
                break;
            }
            done += read;
        }

        buffer.truncate(done);
        buffer
    }

    #[test]
    fn doubles_the_request_size_for_sequential_reads() {
        let (mut window, requests) = window(10 << 20, u64::MAX);
        let bytes = read(&mut window, 0, 1 << 20);
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(at, byte)| *byte == (at % 251) as u8)
        );

        let lengths: Vec<u64> = requests
            .lock()
            .unwrap()
            .iter()
            .map(|(_, length)| *length)
            .collect();

        assert_eq!(
            lengths,
            [
                FIRST_REQUEST,
                2 * FIRST_REQUEST,
                4 * FIRST_REQUEST,
                8 * FIRST_REQUEST,
                16 * FIRST_REQUEST
            ]
        );
    }

    #[test]
    fn requests_little_after_a_seek_and_nothing_for_cached_data() {
        let (mut window, requests) = window(10 << 20, u64::MAX);
        read(&mut window, 5 << 20, 100);
        read(&mut window, 0, 100);
        // Within the segment that the first read fetched.
        read(&mut window, (5 << 20) + 10, 100);
        assert_eq!(
            *requests.lock().unwrap(),
            [(0, FIRST_REQUEST), (5 << 20, FIRST_REQUEST)]
        );
    }

    #[test]
    fn stops_at_the_end() {
        let (mut window, requests) = window(FIRST_REQUEST + 10, u64::MAX);
        assert_eq!(read(&mut window, FIRST_REQUEST, 100).len(), 10);
        assert_eq!(read(&mut window, FIRST_REQUEST + 10, 100).len(), 0);
        // The rest after the first request is 10 bytes.
        assert_eq!(requests.lock().unwrap().len(), 2);
    }

    #[test]
    fn fails_above_the_fetch_limit() {
        let (mut window, _) = window(10 << 20, FIRST_REQUEST + 10);
        let error = window.read_at(5 << 20, &mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceTooBig);
    }
}
