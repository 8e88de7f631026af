//! Reads whole request bodies, bounded per request and in total.

use std::io::{ErrorKind, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chassis::BoxError;
use flate2::read::MultiGzDecoder;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::intake::RequestLimits;

/// An error while reading or decompressing a body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request is larger than {0} bytes; set `max_body_bytes` to allow more")]
    TooLarge(usize),
    #[error("too many requests are being received at once")]
    Busy,
    #[error("the request did not arrive within {0:?}")]
    Timeout(Duration),
    #[error("the connection closed before the end of the request")]
    Aborted(#[source] BoxError),
    #[error("the gzip data is not valid")]
    InvalidGzip,
}

/// The memory for all requests in flight.
///
/// Memory is reserved as it arrives, so a slow sender holds only the bytes it has sent.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// A part of the budget, released when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// Creates a budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

impl Reservation {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        // Counted even if it exceeds the limit, so that `drop` releases exactly this amount.
        self.bytes += bytes;
        let used = self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.budget.limit {
            Err(BodyError::Busy)
        } else {
            Ok(())
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads one body.
pub(crate) struct BodyReader<'a, F> {
    /// The memory that the body takes.
    pub(crate) reservation: &'a mut Reservation,
    /// Maximum size, in bytes.
    pub(crate) limit: usize,
    /// Maximum time to read it.
    pub(crate) timeout: Duration,
    /// Called with the bytes so far; an error refuses the rest.
    pub(crate) inspect: F,
}

impl<F: FnMut(&[u8]) -> Result<(), BodyError>> BodyReader<'_, F> {
    /// Reads the body to its end.
    pub(crate) async fn read<B>(mut self, body: Pin<&mut B>) -> Result<Bytes, BodyError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // `Content-Length` alone can refuse a body, before its first byte is read.
        if body.size_hint().lower() > self.limit as u64 {
            return Err(BodyError::TooLarge(self.limit));
        }

        let limit = self.timeout;
        timeout(limit, self.collect(body))
            .await
            .unwrap_or(Err(BodyError::Timeout(limit)))
    }

    async fn collect<B>(&mut self, mut body: Pin<&mut B>) -> Result<Bytes, BodyError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| BodyError::Aborted(error.into()))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };

            self.reservation.grow(data.len())?;
            if first.len() + all.len() + data.len() > self.limit {
                return Err(BodyError::TooLarge(self.limit));
            }

            // Most bodies arrive in one frame, which needs no copy.
            if first.is_empty() && all.is_empty() {
                first = data;
                (self.inspect)(&first)?;
                continue;
            }

            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
            (self.inspect)(&all)?;
        }

        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

/// Reads and discards the rest of a refused body, within limits.
pub(crate) async fn discard<B>(mut body: Pin<&mut B>, limits: &RequestLimits)
where
    B: Body<Data = Bytes>,
{
    let reading = async {
        let mut left = MAX_DISCARDED_BYTES;
        while !body.is_end_stream() {
            let Some(Ok(frame)) = body.frame().await else {
                break;
            };
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };

    // After the timeout the connection is closed anyway; the result does not matter.
    let _ = timeout(limits.body_timeout, reading).await;
}

/// Decompresses gzip and never holds more than `limit` bytes.
pub(crate) fn gunzip(
    compressed: &[u8],
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, BodyError> {
    // A gzip stream may have several members (RFC 1952, section 2.2).
    let mut decoder = MultiGzDecoder::new(compressed);
    // A first guess at the size; the limit caps the initial allocation.
    let mut out = Vec::with_capacity(compressed.len().saturating_mul(4).min(limit));
    let mut chunk = vec![0; 64 << 10];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(out),
            Ok(count) if out.len() + count > limit => return Err(BodyError::TooLarge(limit)),
            Ok(count) => {
                reservation.grow(count)?;
                out.extend_from_slice(&chunk[..count]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(BodyError::InvalidGzip),
        }
    }
}

/// Twice the 64 MiB that the OTLP specification recommends as a limit for requests.
const MAX_DISCARDED_BYTES: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::pin::pin;

    use chassis::http::full;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn decompresses_up_to_the_limit() {
        let compressed = gzip(&vec![0; 1 << 20]);
        let budget = Budget::new(usize::MAX);
        assert_eq!(
            gunzip(&compressed, 1 << 20, &mut budget.reserve())
                .unwrap()
                .len(),
            1 << 20
        );
        // One byte less than the content: the decoder must stop before it holds everything.
        let bomb = gunzip(&compressed, (1 << 20) - 1, &mut budget.reserve());
        assert!(matches!(bomb, Err(BodyError::TooLarge(_))));
    }

    #[test]
    fn rejects_truncated_and_invalid_gzip() {
        let compressed = gzip(b"abcdefgh");
        let budget = Budget::new(1 << 20);
        for invalid in [&compressed[..compressed.len() - 1], b"plain", b""] {
            assert!(matches!(
                gunzip(invalid, 100, &mut budget.reserve()),
                Err(BodyError::InvalidGzip)
            ));
        }
    }

    #[tokio::test]
    async fn limits_the_memory_of_all_requests() {
        let budget = Budget::new(10);
        let read = async |reservation: &mut Reservation| {
            let timeout = Duration::from_secs(1);
            BodyReader {
                reservation,
                limit: 8,
                timeout,
                inspect: |_: &[u8]| Ok(()),
            }
            .read(pin!(full("12345678")))
            .await
        };

        let mut first = budget.reserve();
        assert_eq!(read(&mut first).await.unwrap(), "12345678");
        assert!(matches!(
            read(&mut budget.reserve()).await,
            Err(BodyError::Busy)
        ));
        drop(first);
        assert_eq!(read(&mut budget.reserve()).await.unwrap(), "12345678");
    }
}
