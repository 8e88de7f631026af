//! Reads of a demuxer, turned into few requests: a reader of ranges that looks ahead.
//!
//! The first read of a place asks for little, since it may be the only one there; as long as
//! reading goes on in order, each request asks for twice as much. The latest segments are kept:
//! demuxers go back and forth between an index and the data.

use std::collections::VecDeque;

use bytes::Bytes;

use super::RangeSource;
use crate::{Error, Kind};

/// Gives the bytes of a range.
pub(crate) trait Ranges: Send {
    /// The bytes from `offset` on: exactly `length`, all within the size.
    fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes, Error>;
}

/// A source over ranges.
pub(crate) struct Window<R> {
    ranges: R,
    size: u64,
    /// The latest used is at the back.
    segments: VecDeque<Segment>,
    ahead: u64,
    sequential_at: u64,
    fetched: u64,
    max_fetch: u64,
}

struct Segment {
    offset: u64,
    bytes: Bytes,
}

impl<R: Ranges> Window<R> {
    /// A window on `size` bytes of which the `first` are known already.
    pub(crate) fn new(ranges: R, size: u64, first: Bytes, max_fetch: u64) -> Self {
        let fetched = first.len() as u64;
        let segments = VecDeque::from([Segment {
            offset: 0,
            bytes: first,
        }]);

        Self {
            ranges,
            size,
            segments,
            ahead: FIRST,
            sequential_at: fetched,
            fetched,
            max_fetch,
        }
    }

    fn segment(&mut self, offset: u64) -> Result<Segment, Error> {
        match self
            .segments
            .iter()
            .position(|segment| segment.holds(offset))
        {
            Some(index) => self.segments.remove(index).ok_or_else(lost),
            None => self.fetch(offset),
        }
    }

    fn fetch(&mut self, offset: u64) -> Result<Segment, Error> {
        self.ahead = if offset == self.sequential_at {
            (self.ahead * 2).min(MOST)
        } else {
            FIRST
        };

        let length = self.ahead.min(self.size - offset);
        if self.fetched + length > self.max_fetch {
            let limit = self.max_fetch;
            let message =
                format!("more than {limit} bytes would have to be read; raise `max_fetch`");
            return Err(Error::new(Kind::SourceTooBig, message));
        }

        let bytes = self.ranges.fetch(offset, length)?;
        self.fetched += bytes.len() as u64;
        self.sequential_at = offset + bytes.len() as u64;
        if self.segments.len() >= KEPT {
            self.segments.pop_front();
        }

        Ok(Segment { offset, bytes })
    }
}

impl<R: Ranges> RangeSource for Window<R> {
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
        if read == 0 { Err(lost()) } else { Ok(read) }
    }
}

impl Segment {
    fn holds(&self, offset: u64) -> bool {
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

fn lost() -> Error {
    Error::new(
        Kind::SourceNetwork,
        "the source gave no bytes where it has some",
    )
}

/// What the first request at a place asks for.
pub(crate) const FIRST: u64 = 64 * 1024;
/// What one request asks for at most.
const MOST: u64 = 1024 * 1024;
/// How many segments are kept.
const KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte is its place divided by 251; the requests are written down.
    struct Recorded(std::sync::Arc<std::sync::Mutex<Vec<(u64, u64)>>>);

    impl Ranges for Recorded {
        fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
            self.0.lock().unwrap().push((offset, length));
            Ok((offset..offset + length)
                .map(|at| (at % 251) as u8)
                .collect())
        }
    }

    type Requests = std::sync::Arc<std::sync::Mutex<Vec<(u64, u64)>>>;

    fn window(size: u64, max_fetch: u64) -> (Window<Recorded>, Requests) {
        let requests = Requests::default();
        let mut ranges = Recorded(requests.clone());
        let first = ranges.fetch(0, FIRST.min(size)).unwrap();
        (Window::new(ranges, size, first, max_fetch), requests)
    }

    fn read(window: &mut Window<Recorded>, offset: u64, length: usize) -> Vec<u8> {
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
    fn reading_in_order_asks_for_twice_as_much_each_time() {
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
            [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST]
        );
    }

    #[test]
    fn a_jump_asks_for_little_and_going_back_for_nothing() {
        let (mut window, requests) = window(10 << 20, u64::MAX);
        read(&mut window, 5 << 20, 100);
        read(&mut window, 0, 100);
        read(&mut window, (5 << 20) + 10, 100);
        assert_eq!(*requests.lock().unwrap(), [(0, FIRST), (5 << 20, FIRST)]);
    }

    #[test]
    fn the_end_is_the_end() {
        let (mut window, requests) = window(FIRST + 10, u64::MAX);
        assert_eq!(read(&mut window, FIRST, 100).len(), 10);
        assert_eq!(read(&mut window, FIRST + 10, 100).len(), 0);
        assert_eq!(requests.lock().unwrap().len(), 2);
    }

    #[test]
    fn more_than_the_limit_is_not_fetched() {
        let (mut window, _) = window(10 << 20, FIRST + 10);
        let error = window.read_at(5 << 20, &mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), Kind::SourceTooBig);
    }
}
