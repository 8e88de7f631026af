//! The output of a container: whole lines to its log file and to a listener.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Stream;

/// Longer lines are split, as awslogs does.
const MAX_LINE_BYTES: usize = 16 * 1024;
/// A larger log file is rotated; one old file is kept.
const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// The lines kept for the report.
const RECENT_LINES: usize = 10;

/// The lines of all containers in the order of arrival: `<folder>/output.jsonl`.
pub(crate) struct CombinedLog(Mutex<RotatingFile>);

/// A file that is rotated when it gets too large.
struct RotatingFile {
    path: PathBuf,
    old_path: PathBuf,
    file: File,
    written: u64,
}

/// The log of one container.
pub(crate) struct ContainerLog {
    container: String,
    combined: Arc<CombinedLog>,
    inner: Mutex<Inner>,
    listener: Box<dyn Fn(Stream, String) + Send + Sync>,
}

struct Inner {
    file: RotatingFile,
    /// The recent lines of stdout and of stderr.
    recent: [VecDeque<String>; 2],
}

impl ContainerLog {
    /// Opens `<folder>/<container>.log` for appending.
    pub(crate) fn open(
        folder: &Path,
        container: &str,
        combined: Arc<CombinedLog>,
        listener: impl Fn(Stream, String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let inner = Mutex::new(Inner {
            file: RotatingFile::open(folder, &format!("{container}.log"))?,
            recent: Default::default(),
        });
        Ok(Self {
            container: container.to_owned(),
            combined,
            inner,
            listener: Box::new(listener),
        })
    }

    /// Copies the lines of a stream until it ends. A slow listener does not delay it.
    pub(crate) async fn copy_lines(&self, mut from: impl AsyncRead + Unpin, stream: Stream) {
        let mut line = Vec::new();
        let mut buffer = vec![0; MAX_LINE_BYTES];
        loop {
            let count = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            for part in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                // Bounds the memory of a container that never ends its line.
                while line.len() > MAX_LINE_BYTES {
                    let rest = line.split_off(MAX_LINE_BYTES);
                    self.write(&std::mem::replace(&mut line, rest), stream);
                }

                if line.ends_with(b"\n") {
                    self.write(&std::mem::take(&mut line), stream);
                }
            }
        }

        // The last line may lack its terminator.
        if !line.is_empty() {
            self.write(&line, stream);
        }
    }

    /// Returns the last lines on stderr, or on stdout if nothing was written to stderr.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let inner = self.lock();
        let [stdout, stderr] = &inner.recent;
        if stderr.is_empty() {
            stdout.iter().cloned().collect()
        } else {
            stderr.iter().cloned().collect()
        }
    }

    /// Writes a line; bytes that are not UTF-8 are replaced.
    fn write(&self, line: &[u8], stream: Stream) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']).to_owned();
        self.lock().append(&text, stream);
        self.combined.write(&self.container, stream, &text);
        (self.listener)(stream, text);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Appends a line. A write error, as on a full disk, loses log lines but does not stop the task.
    fn append(&mut self, line: &str, stream: Stream) {
        let recent = &mut self.recent[stream as usize];
        recent.push_back(line.to_owned());
        if recent.len() > RECENT_LINES {
            recent.pop_front();
        }
        self.file.write(line);
    }
}

impl CombinedLog {
    /// Opens the file for appending.
    pub(crate) fn open(folder: &Path) -> io::Result<Arc<Self>> {
        let file = RotatingFile::open(folder, "output.jsonl")?;
        Ok(Arc::new(Self(Mutex::new(file))))
    }

    fn write(&self, container: &str, stream: Stream, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at = now.unwrap_or_default().as_secs_f64();
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let entry = json!({ "at": at, "container": container, "stream": stream, "line": line });
        file.write(&entry.to_string());
    }
}

impl RotatingFile {
    fn open(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        let file = File::options().create(true).append(true).open(&path)?;
        Ok(Self {
            old_path: folder.join(format!("{name}.1")),
            // An existing file, of a run in the same folder, counts towards the limit.
            written: file.metadata()?.len(),
            path,
            file,
        })
    }

    fn write(&mut self, line: &str) {
        if self.written > MAX_FILE_BYTES {
            let _ = self.rotate();
        }
        self.written += line.len() as u64 + 1;
        // One write for the line and its end: with O_APPEND it cannot be torn apart by another writer.
        let _ = self.file.write_all(format!("{line}\n").as_bytes());
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.old_path)?;
        self.file = File::options().create(true).append(true).open(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_combined(folder: &tempfile::TempDir) -> Arc<CombinedLog> {
        CombinedLog::open(folder.path()).unwrap()
    }

    async fn lines(bytes: &[u8]) -> (Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&received);
        let listener = move |_, line| sink.lock().unwrap().push(line);
        let log =
            ContainerLog::open(folder.path(), "app", open_combined(&folder), listener).unwrap();
        log.copy_lines(bytes, Stream::Stdout).await;
        let file = fs::read_to_string(folder.path().join("app.log")).unwrap();
        (received.lock().unwrap().clone(), file)
    }

    #[tokio::test]
    async fn splits_lines_and_keeps_an_unterminated_last_one() {
        let (lines, file) = lines(b"one\ntwo\r\n\nthree").await;
        assert_eq!(lines, ["one", "two", "", "three"]);
        assert_eq!(file, "one\ntwo\n\nthree\n");
    }

    #[tokio::test]
    async fn splits_long_lines_and_replaces_invalid_utf8() {
        let (lines, _) = lines(&[vec![b'x'; MAX_LINE_BYTES + 5], vec![0xff, b'\n']].concat()).await;
        // 5 bytes over the limit, and U+FFFD, which takes 3 bytes.
        assert_eq!(
            lines.iter().map(String::len).collect::<Vec<_>>(),
            [MAX_LINE_BYTES, 8]
        );
        assert!(lines[1].ends_with('\u{fffd}'));
    }

    #[test]
    fn keeps_one_rotated_file() {
        let folder = tempfile::tempdir().unwrap();
        let log =
            ContainerLog::open(folder.path(), "app", open_combined(&folder), |_, _| {}).unwrap();
        log.lock().file.written = MAX_FILE_BYTES + 1;
        log.write(b"new", Stream::Stderr);
        assert!(folder.path().join("app.log.1").exists());
        assert_eq!(
            fs::read_to_string(folder.path().join("app.log")).unwrap(),
            "new\n"
        );
        assert_eq!(log.last_lines(), ["new"]);
    }
}
