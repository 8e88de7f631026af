//! Local sources: files and memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{RangeSource, Traffic};
use crate::{Error, ErrorKind};

/// A local file.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size: u64,
    traffic: Arc<Traffic>,
}

impl FileSource {
    /// Opens a regular file.
    pub fn open(path: &Path, traffic: Arc<Traffic>) -> Result<Self, Error> {
        let refuse = |error: io::Error| {
            let (kind, what) = match error.kind() {
                io::ErrorKind::NotFound => (ErrorKind::SourceNotFound, "cannot find"),
                io::ErrorKind::PermissionDenied => {
                    (ErrorKind::SourceDenied, "no permission to read")
                }
                _ => (ErrorKind::SourceNetwork, "cannot read"),
            };
            Error::new(kind, format!("{what} `{}`", path.display())).with_source(error)
        };

        let file = File::open(path).map_err(refuse)?;
        // Folders and devices can be opened too, but have no usable size.
        if !file.metadata().map_err(refuse)?.is_file() {
            let message = format!("`{}` is not a regular file", path.display());
            return Err(Error::new(ErrorKind::SourceNotFound, message));
        }

        Self::new(file, traffic).map_err(refuse)
    }

    /// Creates a source from an open file.
    pub(crate) fn new(file: File, traffic: Arc<Traffic>) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self {
            file,
            size,
            traffic,
        })
    }
}

impl RangeSource for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let read = loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let read = read.map_err(|error| {
            Error::new(ErrorKind::SourceNetwork, "cannot read the file").with_source(error)
        })?;
        self.traffic.add_bytes(read as u64);
        Ok(read)
    }
}

/// Bytes in memory.
#[derive(Debug, Clone)]
pub struct MemorySource(Bytes);

impl MemorySource {
    /// Creates a source from bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

impl RangeSource for MemorySource {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.0.get(offset..));
        let rest = rest.unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}
