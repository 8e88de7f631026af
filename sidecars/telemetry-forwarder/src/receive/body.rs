//! Bodies, read whole: bounded one by one, and bounded all together.

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

/// Why a body cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request is larger than {0} bytes, set `max_body_bytes` to allow more")]
    TooLarge(usize),
    #[error("too many requests are being received at once")]
    Busy,
    #[error("the request did not arrive within {0:?}")]
    Timeout(Duration),
    #[error("the request broke off")]
    Aborted(#[source] BoxError),
    #[error("the gzip data is not valid")]
    InvalidGzip,
}

/// The memory for all requests that are being received, together.
///
/// A slow sender holds only what it has sent so far.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
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

/// How a body is read.
pub(crate) struct BodyReader<'a, F> {
    /// What pays for it.
    pub(crate) reservation: &'a mut Reservation,
    /// The most bytes it may have.
    pub(crate) limit: usize,
    /// The longest it may take.
    pub(crate) timeout: Duration,
    /// Sees what has arrived so far, and may refuse the rest.
    pub(crate) inspect: F,
}

impl<F: FnMut(&[u8]) -> Result<(), BodyError>> BodyReader<'_, F> {
    /// Reads a body to its end.
    pub(crate) async fn read<B>(mut self, body: Pin<&mut B>) -> Result<Bytes, BodyError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        // What announces too much is refused before the first byte of it is read.
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

            // Most bodies come in one chunk, which needs no copy.
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

/// Reads what is left of a refused body and keeps nothing of it, within reason.
pub(crate) async fn discard<B>(mut body: Pin<&mut B>, limits: &RequestLimits)
where
    B: Body<Data = Bytes>,
{
    let reading = async {
        let mut left = DISCARDED;
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

    // Whoever takes longer has had its answer.
    let _ = timeout(limits.body_timeout, reading).await;
}

/// Unpacks gzip without ever holding more than the limit.
pub(crate) fn gunzip(
    compressed: &[u8],
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, BodyError> {
    let mut decoder = MultiGzDecoder::new(compressed);
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

/// More than any sender that keeps to the specification sends.
const DISCARDED: usize = 128 << 20;

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
    fn unpacks_up_to_the_limit_and_no_further() {
        let compressed = gzip(&vec![0; 1 << 20]);
        let budget = Budget::new(usize::MAX);
        assert_eq!(
            gunzip(&compressed, 1 << 20, &mut budget.reserve())
                .unwrap()
                .len(),
            1 << 20
        );
        let bomb = gunzip(&compressed, (1 << 20) - 1, &mut budget.reserve());
        assert!(matches!(bomb, Err(BodyError::TooLarge(_))));
    }

    #[test]
    fn refuses_gzip_that_is_cut_or_none() {
        let compressed = gzip(b"abcdefgh");
        let budget = Budget::new(1 << 20);
        for wrong in [&compressed[..compressed.len() - 1], b"plain", b""] {
            assert!(matches!(
                gunzip(wrong, 100, &mut budget.reserve()),
                Err(BodyError::InvalidGzip)
            ));
        }
    }

    #[tokio::test]
    async fn all_requests_together_stay_in_the_budget() {
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
