//! The file sink: appends each batch as a line of OTLP/JSON.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::{Prepared, SendOutcome};
use crate::otlp::Signal;
use crate::otlp::to_json::to_json;

/// A file that receives the lines of all signals.
#[derive(Debug, Clone)]
pub(crate) struct FileSink {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    file: Option<File>,
}

pub(super) fn prepare(signal: Signal, request: &[u8]) -> Result<Prepared, String> {
    let mut line = String::with_capacity(request.len() * 3);
    to_json(signal, request, &mut line).map_err(|error| error.to_string())?;
    line.push('\n');
    Ok(Prepared {
        body: line.into(),
        gzip: false,
    })
}

impl FileSink {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            state: Arc::new(Mutex::new(State { path, file: None })),
        }
    }

    pub(super) async fn send(&self, prepared: &Prepared) -> SendOutcome {
        let (state, line) = (Arc::clone(&self.state), prepared.body.clone());
        // File I/O blocks, and the disk of a task may be slow; it must not hold up the runtime.
        let writing = spawn_blocking(move || {
            state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(&line)
        });

        let result = writing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        match result {
            Ok(()) => SendOutcome::Delivered {
                rejected: 0,
                message: String::new(),
            },
            Err(error) => SendOutcome::Retry {
                after: None,
                reason: error.to_string(),
            },
        }
    }
}

impl State {
    fn append(&mut self, line: &Bytes) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };

        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(line) {
            // A partial line would corrupt the next one; the file is reopened for the next attempt.
            let _ = file.set_len(before);
            return Err(error);
        }

        self.file = Some(file);
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            create_dir_all(folder)?;
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::from_json::from_json;
    use crate::otlp::validate::validate;

    #[tokio::test]
    async fn creates_folders_and_appends_readable_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/traces.jsonl");

        // ResourceSpans { schema_url: "x" }
        let request = [0x0a, 0x03, 0x1a, 0x01, b'x'];
        for _ in 0..2 {
            let sink = FileSink::new(path.clone());
            let outcome = sink.send(&prepare(Signal::Traces, &request).unwrap()).await;
            assert!(
                matches!(outcome, SendOutcome::Delivered { .. }),
                "{outcome:?}"
            );
        }

        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, [r#"{"resourceSpans":[{"schemaUrl":"x"}]}"#; 2]);
        let back = from_json(Signal::Traces, lines[0].as_bytes()).unwrap();
        assert_eq!(validate(Signal::Traces, &back), Ok(0));
    }

    #[tokio::test]
    async fn retries_when_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        // A folder cannot be opened for writing.
        let sink = FileSink::new(folder.path().to_owned());
        let outcome = sink.send(&prepare(Signal::Logs, &[]).unwrap()).await;
        assert!(matches!(outcome, SendOutcome::Retry { .. }), "{outcome:?}");
    }
}
