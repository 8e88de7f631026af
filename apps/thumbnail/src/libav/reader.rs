//! The I/O callbacks that supply libav with the bytes of a [`RangeSource`].

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::sys;
use crate::{Error, ErrorKind, RangeSource};

/// The state of the callbacks. libav holds a pointer to it while the container is open.
pub(super) struct Reader {
    source: Box<dyn RangeSource>,
    position: u64,
    deadline: Instant,
    /// The error of the last failed read; libav only passes on a code.
    error: Option<Error>,
    /// An intermediate buffer. libav's buffer may be uninitialized, and its contents must not change
    /// when a read fails, since libav continues to use them.
    scratch: Box<[u8]>,
    error_eof: c_int,
    error_io: c_int,
}

impl Reader {
    pub(super) fn new(
        source: Box<dyn RangeSource>,
        deadline: Instant,
        library: &sys::Constants,
    ) -> Self {
        Self {
            source,
            position: 0,
            deadline,
            error: None,
            scratch: vec![0; SCRATCH].into(),
            error_eof: library.error_eof,
            error_io: library.error_io,
        }
    }

    /// Takes the error of the last call, if the source or the deadline caused it.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Reads up to `size` bytes into the scratch buffer.
    fn read(&mut self, size: usize) -> c_int {
        if let Err(error) = self.check_deadline() {
            return self.fail(error);
        }

        let size = size.min(self.scratch.len());
        match self
            .source
            .read_at(self.position, &mut self.scratch[..size])
        {
            Ok(0) => self.error_eof,
            Ok(read) => {
                let read = read.min(size);
                self.position += read as u64;
                read as c_int
            }
            Err(error) => self.fail(error),
        }
    }

    fn seek(&mut self, offset: i64, whence: c_int) -> i64 {
        let size = self.source.size() as i64;
        // 0, 1 and 2 are `SEEK_SET`, `SEEK_CUR` and `SEEK_END`.
        let target = match whence & !sys::SEEK_FORCE {
            sys::SEEK_SIZE => return size,
            0 => Some(offset),
            1 => (self.position as i64).checked_add(offset),
            2 => size.checked_add(offset),
            _ => None,
        };

        match target.and_then(|target| u64::try_from(target).ok()) {
            Some(position) => {
                self.position = position;
                position as i64
            }
            None => i64::from(self.error_io),
        }
    }

    pub(super) fn check_deadline(&self) -> Result<(), Error> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Timeout,
            "timed out making the picture; raise `timeout`",
        ))
    }

    fn fail(&mut self, error: Error) -> c_int {
        self.error = Some(error);
        self.error_io
    }
}

/// # Safety
/// `opaque` points to a [`Reader`] that is not borrowed; `buffer` has a capacity of `size`.
pub(super) unsafe extern "C" fn read(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    // SAFETY: libav calls this on the thread that called into it, with the pointer it was given;
    // the owner of the reader does not touch it while a call into libav is running.
    let reader = unsafe { &mut *opaque.cast::<Reader>() };
    let Ok(size) = usize::try_from(size) else {
        return reader.error_io;
    };

    // A panic must not unwind through C.
    let Ok(code) = catch_unwind(AssertUnwindSafe(|| reader.read(size))) else {
        return reader.error_io;
    };
    if let Ok(read) = usize::try_from(code) {
        // SAFETY: libav passes a writable buffer of `size` bytes; `read` is at most `size` and at
        // most the size of the scratch buffer.
        unsafe { std::ptr::copy_nonoverlapping(reader.scratch.as_ptr(), buffer, read) };
    }

    code
}

/// # Safety
/// `opaque` points to a [`Reader`] that is not borrowed.
pub(super) unsafe extern "C" fn seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as in `read`.
    let reader = unsafe { &mut *opaque.cast::<Reader>() };
    reader.seek(offset, whence)
}

/// # Safety
/// `opaque` points to a [`Reader`] that is not borrowed.
pub(super) unsafe extern "C" fn interrupt(opaque: *mut c_void) -> c_int {
    // SAFETY: as in `read`; libav asks between reads, never during one.
    let reader = unsafe { &*opaque.cast::<Reader>() };
    c_int::from(reader.check_deadline().is_err())
}

/// The maximum size of a read, in bytes.
const SCRATCH: usize = 64 * 1024;
