//! A body that comes in order, kept so that it can be read at any place.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::{FileSource, MemorySource, RangeSource, Traffic};
use crate::{Error, Kind};

/// How much of a body is taken, and how much of it stays in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) total: u64,
    pub(crate) memory: u64,
}

/// Takes a whole body: into memory, and from a size on into a file that has no name.
pub(crate) async fn spool<B>(
    body: B,
    room: Room,
    traffic: Arc<Traffic>,
) -> Result<Box<dyn RangeSource>, Error>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_big = || {
        Error::new(
            Kind::SourceTooBig,
            format!("the video has more than {} bytes", room.total),
        )
    };

    if body.size_hint().lower() > room.total {
        return Err(too_big());
    }

    let mut body = pin!(body);
    let mut store = Store::Memory(BytesMut::new());
    let mut size = 0;

    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(Kind::SourceNetwork, "the video broke off before its end").because(error)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };

        size += data.remaining() as u64;
        if size > room.total {
            return Err(too_big());
        }

        traffic.add_bytes(data.remaining() as u64);
        store = store.push(data, room.memory).await?;
    }

    store.source()
}

enum Store {
    Memory(BytesMut),
    File(std::fs::File),
}

impl Store {
    async fn push(self, mut data: impl bytes::Buf, memory: u64) -> Result<Self, Error> {
        match self {
            Self::Memory(mut bytes) if (bytes.len() + data.remaining()) as u64 <= memory => {
                bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
                Ok(Self::Memory(bytes))
            }
            Self::Memory(bytes) => {
                let file = tempfile::tempfile().map_err(no_room)?;
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
                file.seek(SeekFrom::Start(0)).map_err(no_room)?;
                // Its bytes were counted as they came in.
                let source = FileSource::new(file, Arc::default()).map_err(no_room)?;
                Ok(Box::new(source))
            }
        }
    }
}

async fn write(mut file: std::fs::File, bytes: Bytes) -> Result<std::fs::File, Error> {
    let written = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file)).await;
    written
        .map_err(|error| no_room(std::io::Error::other(error)))?
        .map_err(no_room)
}

fn no_room(error: std::io::Error) -> Error {
    let message = "the video cannot be kept in the folder for temporary files; set TMPDIR";
    Error::new(Kind::WorkerLost, message).because(error)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn whole(length: usize, room: Room) -> Result<Vec<u8>, Error> {
        let bytes: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
        let mut source = spool(Full::new(bytes), room, Arc::default()).await?;
        let mut buffer = vec![0; source.size() as usize];
        let mut done = 0;
        while done < buffer.len() {
            done += source.read_at(done as u64, &mut buffer[done..])?;
        }
        Ok(buffer)
    }

    #[tokio::test]
    async fn a_body_reads_the_same_from_memory_and_from_a_file() {
        let in_memory = whole(
            5000,
            Room {
                total: 5000,
                memory: 5000,
            },
        )
        .await
        .unwrap();

        let in_a_file = whole(
            5000,
            Room {
                total: 5000,
                memory: 100,
            },
        )
        .await
        .unwrap();

        assert_eq!(in_memory.len(), 5000);
        assert_eq!(in_memory, in_a_file);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let error = whole(
            5001,
            Room {
                total: 5000,
                memory: 100,
            },
        )
        .await
        .unwrap_err();
        assert_eq!(error.kind(), Kind::SourceTooBig);
    }
}
