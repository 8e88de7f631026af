//! Decompresses request bodies, and discards refused ones.

use std::io::{ErrorKind, Read};
use std::pin::Pin;

use bytes::Bytes;
use chassis::http::{HeldMemory, ReceiveError};
use flate2::read::MultiGzDecoder;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::intake::RequestLimits;

/// An error while receiving or decompressing a body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error("the gzip data is not valid")]
    InvalidGzip,
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
///
/// The memory of the compressed bytes is released at the end.
pub(crate) async fn gunzip(
    compressed: Bytes,
    limit: usize,
    memory: &mut HeldMemory,
) -> Result<Bytes, BodyError> {
    // A gzip stream may have several members (RFC 1952, section 2.2).
    let mut decoder = MultiGzDecoder::new(&compressed[..]);
    // A first guess at the size; the limit caps the initial allocation.
    let mut out = Vec::with_capacity(compressed.len().saturating_mul(4).min(limit));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) if out.len() + count > limit => {
                return Err(ReceiveError::TooLarge { limit }.into());
            }
            Ok(count) => {
                memory.grow(count).await?;
                out.extend_from_slice(&chunk[..count]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(BodyError::InvalidGzip),
        }
    }

    drop(compressed);
    memory.shrink_to(out.len());
    Ok(out.into())
}

/// How much is decompressed at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Twice the 64 MiB that the OTLP specification recommends as a limit for requests.
const MAX_DISCARDED_BYTES: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use chassis::http::{BodyLimits, BodyPool};
    use chassis::memory::MemoryBudget;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::Extensions;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn memory(limit: usize) -> HeldMemory {
        let limits = BodyLimits {
            timeout: Duration::from_secs(1),
            min_bytes_per_second: 0,
        };
        let pool = BodyPool::new(limits, MemoryBudget::new(limit));
        pool.receive(&Extensions::new()).finish()
    }

    #[tokio::test]
    async fn decompresses_up_to_the_limit() {
        let compressed = gzip(&vec![0; 1 << 20]);
        let mut memory = memory(2 << 20);
        let whole = gunzip(compressed.clone(), 1 << 20, &mut memory).await;
        assert_eq!(whole.unwrap().len(), 1 << 20);
        memory.shrink_to(0);
        // One byte less than the content: the decoder must stop before it holds everything.
        let bomb = gunzip(compressed, (1 << 20) - 1, &mut memory).await;
        assert!(matches!(
            bomb,
            Err(BodyError::Receive(ReceiveError::TooLarge { .. }))
        ));
    }

    #[tokio::test]
    async fn decompresses_no_more_than_there_is_memory() {
        let compressed = gzip(&vec![0; 1 << 20]);
        let bomb = gunzip(compressed, usize::MAX, &mut memory(1 << 20)).await;
        assert!(matches!(
            bomb,
            Err(BodyError::Receive(ReceiveError::TooLarge { .. }))
        ));
    }

    #[tokio::test]
    async fn rejects_truncated_and_invalid_gzip() {
        let compressed = gzip(b"abcdefgh");
        let plain = Bytes::from_static(b"plain");
        for invalid in [
            compressed.slice(..compressed.len() - 1),
            plain,
            Bytes::new(),
        ] {
            assert!(matches!(
                gunzip(invalid, 100, &mut memory(1 << 20)).await,
                Err(BodyError::InvalidGzip)
            ));
        }
    }
}
