//! Decodes in a child process, so that a video that exhausts memory or time costs one picture.
//!
//! The child is this executable under another name ([`CHILD`]). It has one socket, no environment, no open files
//! and no access to the network; it asks the parent for the bytes of the video. Its limits on memory and CPU time
//! are those of the kernel (`setrlimit`), and the parent ends it at the deadline.
//!
//! ```text
//!  parent ── Job ──────────────▶ child
//!         ◀─ Read(offset, size) ─
//!         ── Bytes ────────────▶         … as often as libav reads
//!         ◀─ Stage ──────────────
//!         ◀─ Picture or Failure ─
//! ```
//!
//! A program that uses this crate as a library and does not start with [`main`](crate::main) has no such child: it
//! decodes on a thread.

mod child;
mod limits;
mod message;
mod parent;

pub(crate) use limits::ProcessLimits;
pub(crate) use parent::picture;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

/// The name (`argv[0]`) under which this executable decodes.
const CHILD: &str = "thumbnail-decoder";

/// The executable for children, once the program has called [`enter`].
static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();

/// Decodes and returns the exit code, if this process was started as a child; else allows children from now on.
pub(crate) fn enter() -> Option<ExitCode> {
    let name = std::env::args_os().next().unwrap_or_default();
    if name == OsStr::new(CHILD) {
        return Some(child::run());
    }

    if let Some(executable) = find_executable(Path::new(&name)) {
        // Fails only if the program calls this twice, and then the path is the same.
        let _ = EXECUTABLE.set(executable);
    }
    None
}

/// Returns whether this program can decode in a child.
pub(crate) fn is_available() -> bool {
    EXECUTABLE.get().is_some()
}

fn find_executable(name: &Path) -> Option<PathBuf> {
    // The link stays valid if the file is replaced. A chroot without /proc has only the name.
    let link = PathBuf::from("/proc/self/exe");
    let candidates = [link, name.to_owned()];
    candidates
        .into_iter()
        .find(|path| path.is_absolute() && path.exists())
}
