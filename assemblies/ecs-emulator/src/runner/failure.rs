//! Why a task was not created: the error that its process printed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The output of a task's process, in its run directory.
pub(super) const LOG: &str = "up.log";

/// Returns the error at the end of the log, on one line.
pub(super) fn read_failure(folder: &Path) -> String {
    let text = read_end(&folder.join(LOG)).unwrap_or_default();
    // The command prints its name before an error; lines before it are messages.
    let error = match text.rfind("assemble: ") {
        Some(start) => &text[start + "assemble: ".len()..],
        None => &text,
    };

    // A reason is one line in the responses of ECS.
    let words: Vec<&str> = error.split_whitespace().collect();
    if words.is_empty() {
        return format!(
            "the process of the task ended without a message; see {}",
            folder.join(LOG).display()
        );
    }
    words.join(" ")
}

fn read_end(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const MAX_BYTES: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_error_after_the_messages() {
        let folder = tempfile::tempdir().unwrap();
        let text = "1 error: ECS would reject it\nassemble: no program for these containers:\n  `app`: build it\n";
        std::fs::write(folder.path().join(LOG), text).unwrap();
        assert_eq!(
            read_failure(folder.path()),
            "no program for these containers: `app`: build it"
        );
    }

    #[test]
    fn names_the_log_if_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_failure(folder.path()).contains("up.log"));
    }
}
