//! The reception of one body.

use std::{pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep_until};

use super::{BodyLimits, HeldMemory, ReceiveError};
use crate::BoxError;

/// Receives one body within its limits.
#[derive(Debug)]
pub struct BodyReceiver {
    held: HeldMemory,
    limits: BodyLimits,
    deadline: Instant,
    window: Window,
}

/// A complete body and the memory it holds.
#[derive(Debug)]
pub struct ReceivedBody {
    /// The bytes.
    pub bytes: Bytes,
    /// The memory of the bytes; to be kept as long as they are.
    pub memory: HeldMemory,
}

/// The part of the time in which the rate is measured.
#[derive(Debug)]
struct Window {
    end: Instant,
    bytes: usize,
    /// When the last part was passed on; until the next one is asked for, the client is not at fault.
    paused: Option<Instant>,
}

impl BodyReceiver {
    pub(super) fn new(held: HeldMemory, limits: BodyLimits) -> Self {
        let now = Instant::now();
        Self {
            held,
            limits,
            deadline: now + limits.timeout,
            window: Window::new(now),
        }
    }

    /// Returns the next part of the body, or `None` at its end.
    ///
    /// A part that is kept in memory must be reserved with [`memory`](Self::memory).
    pub async fn next<B>(&mut self, mut body: Pin<&mut B>) -> Result<Option<Bytes>, ReceiveError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        self.window.resume();
        loop {
            let wait = self.window.end.min(self.deadline);
            let frame = tokio::select! {
                // What has already arrived first, so that a part is never taken for late.
                biased;
                frame = body.frame() => frame,
                () = self.held.wait_for_eviction() => return Err(ReceiveError::Busy),
                () = sleep_until(wait) => {
                    self.check_time()?;
                    continue;
                }
            };

            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| ReceiveError::Io(error.into()))?;
            if let Ok(data) = frame.into_data() {
                self.window.pause(data.len());
                return Ok(Some(data));
            }
        }
    }

    /// Receives the whole body, of at most `limit` bytes.
    ///
    /// `inspect` is called with the bytes so far; its error refuses the rest.
    pub async fn read_to_end<B>(
        mut self,
        mut body: Pin<&mut B>,
        limit: usize,
        mut inspect: impl FnMut(&[u8]) -> Result<(), ReceiveError>,
    ) -> Result<ReceivedBody, ReceiveError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // `Content-Length` alone can refuse a body, before its first byte is read.
        if body.size_hint().lower() > limit as u64 {
            return Err(ReceiveError::TooLarge { limit });
        }

        // Copied, because a part of a few bytes would keep the whole read buffer of its connection.
        let mut read = BytesMut::new();
        while let Some(data) = self.next(body.as_mut()).await? {
            // Cannot underflow: `read` never exceeds the limit.
            if data.len() > limit - read.len() {
                return Err(ReceiveError::TooLarge { limit });
            }
            self.held.grow(data.len()).await?;
            read.extend_from_slice(&data);
            inspect(&read)?;
        }

        Ok(ReceivedBody {
            bytes: read.freeze(),
            memory: self.finish(),
        })
    }

    /// Returns the memory that the body holds.
    pub fn memory(&mut self) -> &mut HeldMemory {
        &mut self.held
    }

    /// Ends the reception, and returns the memory that the body holds.
    pub fn finish(mut self) -> HeldMemory {
        self.held.complete();
        self.held
    }

    fn check_time(&mut self) -> Result<(), ReceiveError> {
        let now = Instant::now();
        if now >= self.deadline {
            return Err(ReceiveError::Timeout(self.limits.timeout));
        }

        let bytes_per_second = self.limits.min_bytes_per_second;
        let least = bytes_per_second.saturating_mul(WINDOW.as_secs() as usize);
        if now >= self.window.end {
            if self.window.bytes < least {
                return Err(ReceiveError::TooSlow { bytes_per_second });
            }
            self.window = Window::new(now);
        }
        Ok(())
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            end: now + WINDOW,
            bytes: 0,
            paused: None,
        }
    }

    fn pause(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.paused = Some(Instant::now());
    }

    fn resume(&mut self) {
        if let Some(since) = self.paused.take() {
            self.end += since.elapsed();
        }
    }
}

/// Long enough for a lost packet to be sent again.
const WINDOW: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::Extensions;
    use http_body_util::channel::Channel;
    use tokio::time::sleep;

    use super::*;
    use crate::{
        http::{BodyPool, full},
        memory::MemoryBudget,
    };

    fn receiver(timeout: u64) -> BodyReceiver {
        let limits = BodyLimits {
            timeout: Duration::from_secs(timeout),
            min_bytes_per_second: 10,
        };
        let pool = BodyPool::new(limits, MemoryBudget::new(1 << 20));
        pool.receive(&Extensions::new())
    }

    /// Receives a body of `parts` parts of `size` bytes each, one in each `interval` seconds.
    async fn receive(
        timeout: u64,
        (parts, size, interval): (usize, usize, u64),
    ) -> Result<usize, ReceiveError> {
        let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
        let sending = async move {
            for _ in 0..parts {
                sleep(Duration::from_secs(interval)).await;
                if sender.send_data(vec![0; size].into()).await.is_err() {
                    return;
                }
            }
        };
        // Drops the body at its end, which ends the sender.
        let reading = async move {
            let mut body = pin!(body);
            let receiver = receiver(timeout);
            receiver
                .read_to_end(body.as_mut(), 10_000, |_| Ok(()))
                .await
        };
        let (read, ()) = tokio::join!(reading, sending);
        read.map(|body| body.bytes.len())
    }

    #[tokio::test(start_paused = true)]
    async fn receives_a_body_at_the_minimum_rate() {
        // 10 bytes in each second.
        assert_eq!(receive(100, (60, 10, 1)).await.unwrap(), 600);
        // In bursts.
        assert_eq!(receive(100, (12, 50, 4)).await.unwrap(), 600);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_body_that_is_slow_or_late() {
        let slow = receive(100, (60, 9, 1)).await;
        assert!(
            matches!(slow, Err(ReceiveError::TooSlow { .. })),
            "{slow:?}"
        );
        // A fast beginning does not excuse the rest.
        let stopping = receive(100, (2, 5000, 20)).await;
        assert!(matches!(stopping, Err(ReceiveError::TooSlow { .. })));
        let late = receive(20, (60, 10, 1)).await;
        assert!(matches!(late, Err(ReceiveError::Timeout(_))), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_the_reader_does_not_count() {
        let (mut sender, body) = Channel::<Bytes, BoxError>::new(8);
        for _ in 0..3 {
            sender
                .try_send(http_body::Frame::data(vec![0; 50].into()))
                .unwrap();
        }
        let mut receiver = receiver(100);
        let mut body = pin!(body);
        for _ in 0..3 {
            receiver.next(body.as_mut()).await.unwrap().unwrap();
            sleep(Duration::from_secs(10)).await;
        }
        drop(sender);
        assert!(receiver.next(body.as_mut()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn refuses_a_body_over_its_limit() {
        let mut body = pin!(full(vec![0; 101]));
        let read = receiver(1)
            .read_to_end(body.as_mut(), 100, |_| Ok(()))
            .await;
        assert!(matches!(read, Err(ReceiveError::TooLarge { limit: 100 })));
        let mut body = pin!(full(vec![0; 100]));
        let read = receiver(1)
            .read_to_end(body.as_mut(), 100, |_| Ok(()))
            .await;
        assert_eq!(read.unwrap().bytes.len(), 100);
    }
}
