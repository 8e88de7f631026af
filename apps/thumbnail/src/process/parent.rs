//! The parent: starts a child, answers its reads, ends it.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::child::MAX_READ_BYTES;
use super::message::{FromChild, Job, write_bytes, write_job};
use super::{CHILD, EXECUTABLE, ProcessLimits};
use crate::worker::{STAGES, stage_span};
use crate::{Error, ErrorKind, Picture, RangeSource, Request};

/// Makes a picture in a child, which has ended when this returns.
pub(crate) fn picture(
    source: Box<dyn RangeSource>,
    request: &Request,
    limits: ProcessLimits,
) -> Result<Picture, Error> {
    let executable = EXECUTABLE.get().ok_or_else(|| {
        Error::new(
            ErrorKind::WorkerLost,
            "this program has no decoding process",
        )
    })?;
    picture_in(executable, source, request, limits)
}

fn picture_in(
    executable: &Path,
    source: Box<dyn RangeSource>,
    request: &Request,
    limits: ProcessLimits,
) -> Result<Picture, Error> {
    let mut decoder = Decoder::start(executable, request.deadline)?;
    let job = Job::new(source.size(), request, limits);
    match decoder.run(&job, source) {
        Ok(result) => result,
        Err(DecoderError::Source(error)) => Err(error),
        Err(DecoderError::Connection(error)) => Err(decoder.explain(&error, limits)),
    }
}

/// A child and the socket to it.
struct Decoder {
    child: Child,
    socket: TimedSocket,
}

/// Why there is no result of the child.
enum DecoderError {
    /// The video cannot be read.
    Source(Error),
    /// The child has ended, hangs or sent nonsense.
    Connection(io::Error),
}

impl From<io::Error> for DecoderError {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

impl Decoder {
    fn start(executable: &Path, deadline: Instant) -> Result<Self, Error> {
        let lost = |error| {
            Error::new(ErrorKind::WorkerLost, "cannot start the decoder").with_source(error)
        };
        let (socket, other) = UnixStream::pair().map_err(lost)?;

        // No environment: it has the credentials of AWS, and the decoder needs no setting. Output goes to closed
        // pipes, since a root without /dev has no /dev/null.
        let mut child = Command::new(executable)
            .arg0(CHILD)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(lost)?;
        drop((child.stdout.take(), child.stderr.take()));

        let socket = TimedSocket {
            socket,
            // The child notices the deadline itself when it reads, with a more precise error.
            until: deadline + GRACE,
        };
        Ok(Self { child, socket })
    }

    /// Answers the child until it has a result.
    fn run(
        &mut self,
        job: &Job,
        mut source: Box<dyn RangeSource>,
    ) -> Result<Result<Picture, Error>, DecoderError> {
        write_job(&mut self.socket, job)?;
        let mut buffer = Vec::new();
        let mut span = None;

        loop {
            match FromChild::read(&mut self.socket)? {
                FromChild::Read { offset, size } => {
                    buffer.resize((size as usize).min(MAX_READ_BYTES), 0);
                    let read = source
                        .read_at(offset, &mut buffer)
                        .map_err(DecoderError::Source)?;
                    write_bytes(&mut self.socket, &buffer[..read])?;
                }
                FromChild::Stage(index) => {
                    // The previous span ends before the next one begins.
                    drop(span.take());
                    let stage = STAGES.get(usize::from(index));
                    span = stage.map(|stage| stage_span(stage).entered());
                }
                FromChild::Finished(result) => return Ok(result),
            }
        }
    }

    /// Returns the error for a child without a result.
    fn explain(&mut self, error: &io::Error, limits: ProcessLimits) -> Error {
        let is_late = Instant::now() >= self.socket.until || is_timeout(error);
        let Some(status) = self.end() else {
            return Error::new(ErrorKind::WorkerLost, "cannot wait for the decoder");
        };

        let megabytes = limits.max_memory_bytes / (1024 * 1024);
        match status.signal() {
            // The signals of setrlimit(2) for CPU time; the second one is that of a child at the deadline.
            Some(SIGXCPU) => timeout(),
            Some(SIGKILL) if is_late => timeout(),
            // Rust and libav abort when an allocation fails that they cannot do without.
            Some(SIGABRT) => Error::new(
                ErrorKind::Unsupported,
                format!("decoding the video needs more than {megabytes} MiB of memory"),
            ),
            Some(signal) => Error::new(
                ErrorKind::WorkerLost,
                format!("the video ended the decoder with signal {signal}"),
            ),
            None => Error::new(
                ErrorKind::WorkerLost,
                format!("the decoder ended without a result: {status}"),
            ),
        }
    }

    /// Ends the child and returns its status, which is its own if it had already ended.
    fn end(&mut self) -> Option<ExitStatus> {
        // Fails if the child has ended.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.end();
    }
}

/// A socket whose reads and writes end at a time.
struct TimedSocket {
    socket: UnixStream,
    until: Instant,
}

impl TimedSocket {
    fn rest(&self) -> io::Result<Option<Duration>> {
        let rest = self.until.saturating_duration_since(Instant::now());
        // A timeout of zero would mean none.
        if rest.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(rest))
    }
}

impl Read for TimedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.rest()?)?;
        self.socket.read(buffer)
    }
}

impl Write for TimedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.rest()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn timeout() -> Error {
    Error::new(ErrorKind::Timeout, "timed out making the picture")
}

fn is_timeout(error: &io::Error) -> bool {
    // A timeout of a socket is reported as `WouldBlock` (socket(7), SO_RCVTIMEO).
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// The time after the deadline in which the child can report it.
const GRACE: Duration = Duration::from_millis(150);
/// Signal numbers of Linux on all architectures that it runs on.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fit, Format, MemorySource, Position, Seek};

    fn error_of(executable: &str, time: Duration) -> Error {
        let request = Request {
            at: Position::After(0),
            seek: Seek::Before,
            fit: Fit {
                width: 0,
                height: 0,
            },
            format: Format::Png,
            quality: 85,
            max_pixels: 1 << 20,
            deadline: Instant::now() + time,
        };
        let limits = ProcessLimits {
            max_memory_bytes: 1 << 28,
        };
        let source = Box::new(MemorySource::new("video"));
        picture_in(Path::new(executable), source, &request, limits).unwrap_err()
    }

    #[test]
    fn ends_a_child_that_hangs_at_the_deadline() {
        // Reads its input to the end before it writes, and there is no end.
        let error = error_of("/usr/bin/sort", Duration::from_millis(50));
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[test]
    fn reports_a_child_that_ends_without_a_result() {
        let error = error_of("/bin/true", Duration::from_secs(50));
        assert_eq!(error.kind(), ErrorKind::WorkerLost);
        assert!(error.to_string().contains("exit status: 0"), "{error}");
    }

    #[test]
    fn reports_a_child_that_cannot_start() {
        let error = error_of("/no/such/program", Duration::from_secs(50));
        assert_eq!(error.kind(), ErrorKind::WorkerLost);
        assert!(error.chain().contains("No such file"), "{}", error.chain());
    }
}
