//! How libav gets its bytes: three callbacks over a [`RangeSource`].

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::sys;
use crate::{Error, Kind, RangeSource};

/// What the callbacks work on. libav holds a pointer to it for as long as the container is open.
pub(super) struct Reader {
    source: Box<dyn RangeSource>,
    position: u64,
    deadline: Instant,
    /// What made a read fail: libav has only a number for it.
    failure: Option<Error>,
    /// Where bytes wait before they go to libav. Its own buffer may be uninitialised, and where
    /// nothing is read it must stay as it is: libav goes on using what is in it.
    scratch: Box<[u8]>,
    end_of_file: c_int,
    broken: c_int,
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
            failure: None,
            scratch: vec![0; SCRATCH].into(),
            end_of_file: library.error_eof,
            broken: library.error_io,
        }
    }

    /// What made the last call fail, if it was the source or the deadline.
    pub(super) fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Reads up to `size` bytes into the scratch.
    fn read(&mut self, size: usize) -> c_int {
        if let Err(error) = self.in_time() {
            return self.fail(error);
        }

        let size = size.min(self.scratch.len());
        match self
            .source
            .read_at(self.position, &mut self.scratch[..size])
        {
            Ok(0) => self.end_of_file,
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
            None => i64::from(self.broken),
        }
    }

    pub(super) fn in_time(&self) -> Result<(), Error> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(Error::new(
            Kind::Timeout,
            "the picture was not ready in time; raise `timeout`",
        ))
    }

    fn fail(&mut self, error: Error) -> c_int {
        self.failure = Some(error);
        self.broken
    }
}

/// # Safety
/// `opaque` points to a [`Reader`] that no one else is using now; `buffer` has room for `size`.
pub(super) unsafe extern "C" fn read(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    // SAFETY: libav calls this on the thread that called into it, with the pointer it was given;
    // the owner of the reader does not touch it while a call into libav is running.
    let reader = unsafe { &mut *opaque.cast::<Reader>() };
    let Ok(size) = usize::try_from(size) else {
        return reader.broken;
    };

    // A panic must not unwind through C.
    let Ok(code) = catch_unwind(AssertUnwindSafe(|| reader.read(size))) else {
        return reader.broken;
    };
    if let Ok(read) = usize::try_from(code) {
        // SAFETY: libav gives a buffer of `size` bytes that is its to write to; no more than
        // that, and no more than the scratch holds, was read.
        unsafe { std::ptr::copy_nonoverlapping(reader.scratch.as_ptr(), buffer, read) };
    }

    code
}

/// # Safety
/// `opaque` points to a [`Reader`] that no one else is using now.
pub(super) unsafe extern "C" fn seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as in `read`.
    let reader = unsafe { &mut *opaque.cast::<Reader>() };
    reader.seek(offset, whence)
}

/// # Safety
/// `opaque` points to a [`Reader`] that no one else is using now.
pub(super) unsafe extern "C" fn interrupt(opaque: *mut c_void) -> c_int {
    // SAFETY: as in `read`; libav asks between reads, never during one.
    let reader = unsafe { &*opaque.cast::<Reader>() };
    c_int::from(reader.in_time().is_err())
}

/// What one read gives at most.
const SCRATCH: usize = 64 * 1024;
