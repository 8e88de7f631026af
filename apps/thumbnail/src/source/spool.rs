//! Spools a sequential body to memory or a temporary file, for reads at any offset.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chassis::http::{Body, BodyPool, BodyReceiver, HeldMemory, ReceiveError};
use chassis::memory::{MemoryBudget, Reservation};
use http::Extensions;
use http_body::Body as _;

use super::{FileSource, MemorySource, RangeSource, Traffic};
use crate::{Error, ErrorKind};

/// The maximum size of a body in total and in memory, in bytes, and what all of them share.
#[derive(Debug, Clone)]
pub(crate) struct SpoolBudget {
    pub(crate) max_bytes: u64,
    pub(crate) max_memory_bytes: u64,
    /// The memory for bodies; one that finds none goes to a temporary file.
    pub(crate) bodies: BodyPool,
    /// The space for temporary files.
    pub(crate) files: MemoryBudget,
}

/// Reads a whole body into memory, or into an unnamed temporary file if it is larger.
///
/// `extensions` are those of its request, if a client sends it.
pub(crate) async fn spool(
    body: Body,
    extensions: &Extensions,
    budget: &SpoolBudget,
    traffic: Arc<Traffic>,
) -> Result<Box<dyn RangeSource>, SpoolError> {
    // `Content-Length` alone can reject a body.
    if body.size_hint().lower() > budget.max_bytes {
        return Err(too_big(budget).into());
    }

    let mut body = pin!(body);
    let mut receiver = budget.bodies.receive(extensions);
    let mut spool = Spool::Memory(BytesMut::new());
    let mut size = 0;

    while let Some(data) = receiver.next(body.as_mut()).await? {
        size += data.len() as u64;
        if size > budget.max_bytes {
            return Err(too_big(budget).into());
        }

        traffic.add_bytes(data.len() as u64);
        spool = spool.push(data, &mut receiver, budget).await?;
    }

    Ok(spool.source(receiver.finish())?)
}

fn too_big(budget: &SpoolBudget) -> Error {
    let message = format!("the video has more than {} bytes", budget.max_bytes);
    Error::new(ErrorKind::SourceTooBig, message)
}

/// Why a body is not spooled.
#[derive(Debug)]
pub(crate) enum SpoolError {
    /// It is not received: too slow, or there is no room.
    Receive(ReceiveError),
    /// The video is refused, or cannot be stored.
    Video(Error),
}

impl From<ReceiveError> for SpoolError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Io(error) => {
                let message = "the connection closed before the end of the video";
                Self::Video(Error::new(ErrorKind::SourceNetwork, message).with_source(error))
            }
            ReceiveError::Timeout(_) => {
                let message = "timed out receiving the video";
                Self::Video(Error::new(ErrorKind::Timeout, message))
            }
            other => Self::Receive(other),
        }
    }
}

impl From<Error> for SpoolError {
    fn from(error: Error) -> Self {
        Self::Video(error)
    }
}

impl From<SpoolError> for Error {
    /// Returns the error for a video that the service itself fetches.
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Video(error) => error,
            SpoolError::Receive(error) => Self::new(ErrorKind::SourceNetwork, error.to_string()),
        }
    }
}

enum Spool {
    Memory(BytesMut),
    File(std::fs::File, Reservation),
}

impl Spool {
    async fn push(
        self,
        data: Bytes,
        receiver: &mut BodyReceiver,
        budget: &SpoolBudget,
    ) -> Result<Self, SpoolError> {
        match self {
            Self::Memory(mut bytes)
                if (bytes.len() + data.len()) as u64 <= budget.max_memory_bytes
                    && receiver.memory().try_grow(data.len()) =>
            {
                bytes.extend_from_slice(&data);
                Ok(Self::Memory(bytes))
            }
            Self::Memory(bytes) => {
                let file = tempfile::tempfile().map_err(storage_error)?;
                let spool = Self::File(file, budget.files.empty());
                let spool = spool.write(bytes.freeze()).await?;
                receiver.memory().shrink_to(0);
                spool.write(data).await
            }
            Self::File(..) => self.write(data).await,
        }
    }

    async fn write(self, bytes: Bytes) -> Result<Self, SpoolError> {
        let Self::File(file, mut space) = self else {
            return Ok(self);
        };
        if !space.try_grow(bytes.len()) {
            return Err(ReceiveError::Busy.into());
        }
        Ok(Self::File(write(file, bytes).await?, space))
    }

    fn source(self, memory: HeldMemory) -> Result<Box<dyn RangeSource>, Error> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(HeldSource {
                source: MemorySource::new(bytes.freeze()),
                _held: memory,
            })),
            Self::File(mut file, space) => {
                file.seek(SeekFrom::Start(0)).map_err(storage_error)?;
                // The bytes were counted on arrival, so this source gets a separate counter.
                let source = FileSource::new(file, Arc::default()).map_err(storage_error)?;
                Ok(Box::new(HeldSource {
                    source,
                    _held: space,
                }))
            }
        }
    }
}

/// A source and what it holds.
struct HeldSource<S, H> {
    source: S,
    _held: H,
}

impl<S: RangeSource, H: Send> RangeSource for HeldSource<S, H> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        self.source.read_at(offset, buffer)
    }
}

async fn write(mut file: std::fs::File, bytes: Bytes) -> Result<std::fs::File, Error> {
    // A large write would block the runtime's other connections.
    let written = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file)).await;
    written
        .map_err(|error| storage_error(std::io::Error::other(error)))?
        .map_err(storage_error)
}

fn storage_error(error: std::io::Error) -> Error {
    let message = "cannot write the video to the temporary folder; set TMPDIR";
    Error::new(ErrorKind::WorkerLost, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::http::BodyLimits;

    use super::*;

    /// Returns a budget with 100,000 bytes of memory and of files.
    fn budget(max_bytes: u64, max_memory_bytes: u64) -> SpoolBudget {
        let limits = BodyLimits {
            timeout: Duration::from_secs(10),
            min_bytes_per_second: 0,
        };
        SpoolBudget {
            max_bytes,
            max_memory_bytes,
            bodies: BodyPool::new(limits, MemoryBudget::new(100_000)),
            files: MemoryBudget::new(100_000),
        }
    }

    async fn source(
        length: usize,
        budget: &SpoolBudget,
    ) -> Result<Box<dyn RangeSource>, SpoolError> {
        let bytes: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
        let body = chassis::http::full(bytes);
        spool(body, &Extensions::new(), budget, Arc::default()).await
    }

    fn read(mut source: Box<dyn RangeSource>) -> Vec<u8> {
        let mut buffer = vec![0; source.size() as usize];
        let mut done = 0;
        while done < buffer.len() {
            done += source.read_at(done as u64, &mut buffer[done..]).unwrap();
        }
        buffer
    }

    #[tokio::test]
    async fn reads_the_same_from_memory_and_from_a_file() {
        let in_memory = read(source(5000, &budget(5000, 5000)).await.unwrap());
        let in_a_file = read(source(5000, &budget(5000, 100)).await.unwrap());
        assert_eq!(in_memory.len(), 5000);
        assert_eq!(in_memory, in_a_file);
    }

    #[tokio::test]
    async fn rejects_a_body_over_the_limit() {
        let error = source(5001, &budget(5000, 100)).await.err().unwrap();
        assert_eq!(Error::from(error).kind(), ErrorKind::SourceTooBig);
    }

    #[tokio::test]
    async fn uses_files_when_the_memory_is_full_and_refuses_when_they_are_too() {
        let budget = budget(80_000, 80_000);
        // Three quarters of the memory are for one client.
        let in_memory = source(60_000, &budget).await.unwrap();
        let in_a_file = source(60_000, &budget).await.unwrap();
        let refused = source(60_000, &budget).await;
        assert!(matches!(
            refused,
            Err(SpoolError::Receive(ReceiveError::Busy))
        ));

        drop(in_a_file);
        assert!(source(60_000, &budget).await.is_ok());
        assert_eq!(read(in_memory).len(), 60_000);
    }
}
