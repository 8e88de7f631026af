//! The file sink: one request a line, as OTLP/JSON, always at the end of the file.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::{Prepared, SendOutcome};
use crate::otlp::Signal;
use crate::otlp::to_json::to_json;

/// A file that all signals are written to, a whole line at a time.
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
    to_json(signal, request, &mut line).map_err(|fault| fault.to_string())?;
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
            // Half a line would spoil the next one; the file is opened afresh for the next try.
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
    async fn makes_folders_and_appends_lines_that_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/traces.jsonl");

        // ResourceSpans { schema_url: "x" }
        let request = [0x0a, 0x03, 0x1a, 0x01, b'x'];
        for _ in 0..2 {
            let sink = FileSink::new(path.clone());
            let classify = sink.send(&prepare(Signal::Traces, &request).unwrap()).await;
            assert!(
                matches!(classify, SendOutcome::Delivered { .. }),
                "{classify:?}"
            );
        }

        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, [r#"{"resourceSpans":[{"schemaUrl":"x"}]}"#; 2]);
        let back = from_json(Signal::Traces, lines[0].as_bytes()).unwrap();
        assert_eq!(validate(Signal::Traces, &back), Ok(0));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let sink = FileSink::new(folder.path().to_owned());
        let classify = sink.send(&prepare(Signal::Logs, &[]).unwrap()).await;
        assert!(
            matches!(classify, SendOutcome::Retry { .. }),
            "{classify:?}"
        );
    }
}
