//! The child: receives a job, decodes, sends the picture.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::message::{FromChild, read_bytes, read_job};
use crate::worker::{STAGES, picture_in_stages};
use crate::{Error, ErrorKind, RangeSource};

/// Decodes one picture. The parent learns what fails from the last message, or from the end of this process.
pub(super) fn run() -> ExitCode {
    match decode() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn decode() -> io::Result<()> {
    // Standard input is the socket to the parent.
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let job = read_job(&mut socket)?;
    let source = ParentSource {
        socket: socket.try_clone()?,
        size: job.size,
    };

    // From here on nothing can be opened, and the bytes that follow are untrusted.
    job.limits.apply(job.time())?;

    let mut on_stage = |stage: &'static str| {
        let index = STAGES.iter().position(|name| *name == stage);
        // If the parent is gone, the next read fails as well.
        let _ = FromChild::Stage(index.unwrap_or_default() as u8).write(&mut &socket);
    };
    let result = picture_in_stages(Box::new(source), &job.request(), &mut on_stage);
    FromChild::Finished(result).write(&mut &socket)
}

/// The video, read through the parent.
struct ParentSource {
    socket: UnixStream,
    size: u64,
}

impl RangeSource for ParentSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let size = buffer.len().min(MAX_READ_BYTES);
        let request = FromChild::Read {
            offset,
            size: size as u32,
        };

        // The parent keeps its own errors and ends this process, so the text of this one is never shown.
        let lost = |error: io::Error| {
            Error::new(ErrorKind::WorkerLost, "the parent of the decoder is gone")
                .with_source(error)
        };
        request.write(&mut self.socket).map_err(lost)?;
        read_bytes(&mut self.socket, &mut buffer[..size]).map_err(lost)
    }
}

/// The maximum number of bytes that the parent sends at once.
pub(super) const MAX_READ_BYTES: usize = 1024 * 1024;
