//! A container's output: whole lines to its log file and to whoever listens.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Stream;

/// Longer lines are cut into pieces, as awslogs does.
const LONGEST_LINE: usize = 16 * 1024;
/// A log file that gets larger makes room for a new one; the one before it is kept.
const LARGEST_FILE: u64 = 10 * 1024 * 1024;
const REMEMBERED: usize = 10;

/// The lines of all containers in the order in which they came: `<folder>/output.jsonl`.
pub(crate) struct Together(Mutex<Sheet>);

/// A file that makes room for a new one when it gets too large.
struct Sheet {
    path: PathBuf,
    before: PathBuf,
    file: File,
    written: u64,
}

/// Where the lines of one container go.
pub(crate) struct Journal {
    container: String,
    together: Arc<Together>,
    inner: Mutex<Inner>,
    listener: Box<dyn Fn(Stream, String) + Send + Sync>,
}

struct Inner {
    sheet: Sheet,
    last: [VecDeque<String>; 2],
}

impl Journal {
    /// Appends to `<folder>/<container>.log`.
    pub(crate) fn open(
        folder: &Path,
        container: &str,
        together: Arc<Together>,
        listener: impl Fn(Stream, String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let inner = Mutex::new(Inner {
            sheet: Sheet::open(folder, &format!("{container}.log"))?,
            last: Default::default(),
        });
        Ok(Self {
            container: container.to_owned(),
            together,
            inner,
            listener: Box::new(listener),
        })
    }

    /// Reads a stream to its end, however slow the listener is.
    pub(crate) async fn take(&self, mut from: impl AsyncRead + Unpin, stream: Stream) {
        let mut line = Vec::new();
        let mut buffer = vec![0; LONGEST_LINE];
        loop {
            let count = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            for piece in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                while line.len() > LONGEST_LINE {
                    let rest = line.split_off(LONGEST_LINE);
                    self.write(&std::mem::replace(&mut line, rest), stream);
                }

                if line.ends_with(b"\n") {
                    self.write(&std::mem::take(&mut line), stream);
                }
            }
        }

        if !line.is_empty() {
            self.write(&line, stream);
        }
    }

    /// What it said last: on stderr, or on stdout when stderr was silent.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let inner = self.lock();
        let [stdout, stderr] = &inner.last;
        if stderr.is_empty() {
            stdout.iter().cloned().collect()
        } else {
            stderr.iter().cloned().collect()
        }
    }

    fn write(&self, line: &[u8], stream: Stream) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']).to_owned();
        self.lock().keep(&text, stream);
        self.together.write(&self.container, stream, &text);
        (self.listener)(stream, text);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A full disk costs the log file, not the task.
    fn keep(&mut self, line: &str, stream: Stream) {
        let last = &mut self.last[stream as usize];
        last.push_back(line.to_owned());
        if last.len() > REMEMBERED {
            last.pop_front();
        }
        self.sheet.write(line);
    }
}

impl Together {
    /// Appends to the file.
    pub(crate) fn open(folder: &Path) -> io::Result<Arc<Self>> {
        let sheet = Sheet::open(folder, "output.jsonl")?;
        Ok(Arc::new(Self(Mutex::new(sheet))))
    }

    fn write(&self, container: &str, stream: Stream, line: &str) {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at = now.unwrap_or_default().as_secs_f64();
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let one = json!({ "at": at, "container": container, "stream": stream, "line": line });
        sheet.write(&one.to_string());
    }
}

impl Sheet {
    fn open(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        let file = File::options().create(true).append(true).open(&path)?;
        Ok(Self {
            before: folder.join(format!("{name}.1")),
            written: file.metadata()?.len(),
            path,
            file,
        })
    }

    fn write(&mut self, line: &str) {
        if self.written > LARGEST_FILE {
            let _ = self.turn_over();
        }
        self.written += line.len() as u64 + 1;
        let _ = self.file.write_all(format!("{line}\n").as_bytes());
    }

    fn turn_over(&mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.before)?;
        self.file = File::options().create(true).append(true).open(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(folder: &tempfile::TempDir) -> Arc<Together> {
        Together::open(folder.path()).unwrap()
    }

    async fn lines(bytes: &[u8]) -> (Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let listener = move |_, line| ear.lock().unwrap().push(line);
        let journal = Journal::open(folder.path(), "app", together(&folder), listener).unwrap();
        journal.take(bytes, Stream::Stdout).await;
        let file = fs::read_to_string(folder.path().join("app.log")).unwrap();
        (heard.lock().unwrap().clone(), file)
    }

    #[tokio::test]
    async fn gives_whole_lines_and_the_unfinished_last_one() {
        let (heard, file) = lines(b"one\ntwo\r\n\nthree").await;
        assert_eq!(heard, ["one", "two", "", "three"]);
        assert_eq!(file, "one\ntwo\n\nthree\n");
    }

    #[tokio::test]
    async fn cuts_long_lines_and_survives_bad_text() {
        let (heard, _) = lines(&[vec![b'x'; LONGEST_LINE + 5], vec![0xff, b'\n']].concat()).await;
        assert_eq!(
            heard.iter().map(String::len).collect::<Vec<_>>(),
            [LONGEST_LINE, 8]
        );
        assert!(heard[1].ends_with('\u{fffd}'));
    }

    #[test]
    fn keeps_one_file_before_the_present_one() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), "app", together(&folder), |_, _| {}).unwrap();
        journal.lock().sheet.written = LARGEST_FILE + 1;
        journal.write(b"new", Stream::Stderr);
        assert!(folder.path().join("app.log.1").exists());
        assert_eq!(
            fs::read_to_string(folder.path().join("app.log")).unwrap(),
            "new\n"
        );
        assert_eq!(journal.last_lines(), ["new"]);
    }
}
