//! Spools a sequential body to memory or a temporary file, for reads at any offset.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use chassis::http::Body;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::{FileSource, MemorySource, RangeSource, Traffic};
use crate::{Error, ErrorKind};

/// The maximum size of a body in total and in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpoolBudget {
    pub(crate) max_bytes: u64,
    pub(crate) max_memory_bytes: u64,
}

/// Reads a whole body into memory, or into an unnamed temporary file if it is larger.
pub(crate) async fn spool(
    mut body: Body,
    budget: SpoolBudget,
    traffic: Arc<Traffic>,
) -> Result<Box<dyn RangeSource>, Error> {
    let too_big = || {
        Error::new(
            ErrorKind::SourceTooBig,
            format!("the video has more than {} bytes", budget.max_bytes),
        )
    };

    // `Content-Length` alone can reject a body.
    if body.size_hint().lower() > budget.max_bytes {
        return Err(too_big());
    }

    let mut spool = Spool::Memory(BytesMut::new());
    let mut size = 0;

    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(
                ErrorKind::SourceNetwork,
                "the connection closed before the end of the video",
            )
            .with_source(error)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };

        size += data.remaining() as u64;
        if size > budget.max_bytes {
            return Err(too_big());
        }

        traffic.add_bytes(data.remaining() as u64);
        spool = spool.push(data, budget.max_memory_bytes).await?;
    }

    spool.source()
}

enum Spool {
    Memory(BytesMut),
    File(std::fs::File),
}

impl Spool {
    async fn push(self, mut data: impl bytes::Buf, max_memory_bytes: u64) -> Result<Self, Error> {
        match self {
            Self::Memory(mut bytes)
                if (bytes.len() + data.remaining()) as u64 <= max_memory_bytes =>
            {
                bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                Ok(Self::Memory(bytes))
            }
            Self::Memory(bytes) => {
                let file = tempfile::tempfile().map_err(storage_error)?;
                let bytes = bytes.freeze();
                let file = write(file, bytes).await?;
                Ok(Self::File(
                    write(file, data.copy_to_bytes(data.remaining())).await?,
                ))
            }
            Self::File(file) => Ok(Self::File(
                write(file, data.copy_to_bytes(data.remaining())).await?,
            )),
        }
    }

    fn source(self) -> Result<Box<dyn RangeSource>, Error> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(MemorySource::new(bytes.freeze()))),
            Self::File(mut file) => {
                file.seek(SeekFrom::Start(0)).map_err(storage_error)?;
                // The bytes were counted on arrival, so this source gets a separate counter.
                let source = FileSource::new(file, Arc::default()).map_err(storage_error)?;
                Ok(Box::new(source))
            }
        }
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
    use super::*;

    async fn spool_and_read(length: usize, budget: SpoolBudget) -> Result<Vec<u8>, Error> {
        let bytes: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
        let mut source = spool(chassis::http::full(bytes), budget, Arc::default()).await?;
        let mut buffer = vec![0; source.size() as usize];
        let mut done = 0;
        while done < buffer.len() {
            done += source.read_at(done as u64, &mut buffer[done..])?;
        }
        Ok(buffer)
    }

    #[tokio::test]
    async fn reads_the_same_from_memory_and_from_a_file() {
        let in_memory = spool_and_read(
            5000,
            SpoolBudget {
                max_bytes: 5000,
                max_memory_bytes: 5000,
            },
        )
        .await
        .unwrap();

        let in_a_file = spool_and_read(
            5000,
            SpoolBudget {
                max_bytes: 5000,
                max_memory_bytes: 100,
            },
        )
        .await
        .unwrap();

        assert_eq!(in_memory.len(), 5000);
        assert_eq!(in_memory, in_a_file);
    }

    #[tokio::test]
    async fn rejects_a_body_over_the_limit() {
        let error = spool_and_read(
            5001,
            SpoolBudget {
                max_bytes: 5000,
                max_memory_bytes: 100,
            },
        )
        .await
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceTooBig);
    }
}
