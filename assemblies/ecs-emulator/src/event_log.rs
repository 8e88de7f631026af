//! Events in the format of EventBridge, one JSON object per line.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::Error;
use crate::arn::{Owner, random_uuid};

/// Events that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Events {
    waiting: Vec<Value>,
}

impl Events {
    /// Adds an event about resources.
    pub(crate) fn push(
        &mut self,
        owner: &Owner,
        kind: &str,
        resources: &[String],
        detail: Value,
        now: SystemTime,
    ) {
        // The runner takes them several times a second. Without it, a caller could fill the memory.
        if self.waiting.len() >= MAX_WAITING {
            return;
        }
        // The fields of an EventBridge event (EventBridge User Guide, "Event structure").
        self.waiting.push(json!({
            "version": "0",
            "id": random_uuid(),
            "detail-type": kind,
            "source": "aws.ecs",
            "account": owner.account,
            "time": local::rfc3339(now),
            "region": owner.region,
            "resources": resources,
            "detail": detail,
        }));
    }

    /// Takes the events that are not written yet.
    pub(crate) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.waiting)
    }
}

/// The file of events.
#[derive(Debug)]
pub(crate) struct EventLog {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl EventLog {
    /// Creates the file, and replaces the one of an earlier run.
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let file = File::create(&path).map_err(|source| Error::File {
            act: "create",
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            file,
            bytes: 0,
        })
    }

    /// Writes events. A full disk affects only the file.
    pub(crate) fn write(&mut self, events: &[Value]) {
        // One write for all lines, so that a reader sees few incomplete ones.
        let mut text = String::new();
        for event in events {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{event}");
        }
        if self.bytes + text.len() as u64 > MAX_BYTES {
            self.rotate();
        }
        self.bytes += text.len() as u64;
        let _ = self.file.write_all(text.as_bytes());
    }

    /// Starts the file anew. The old one stays beside it, with `.1` at the end of its name.
    fn rotate(&mut self) {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        // If the rename fails, the file goes on growing: events are worth more than the limit.
        let created = fs::rename(&self.path, old).and_then(|()| File::create(&self.path));
        if let Ok(file) = created {
            (self.file, self.bytes) = (file, 0);
        }
    }
}

const MAX_WAITING: usize = 10_000;
/// With the file beside it the events take at most twice this much.
const MAX_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_one_event_per_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let owner = Owner {
            region: "us-east-1".into(),
            account: "000000000000".into(),
        };

        let mut events = Events::default();
        events.push(
            &owner,
            "ECS Task State Change",
            &["arn".into()],
            json!({ "a": "b\nc" }),
            SystemTime::now(),
        );

        events.push(
            &owner,
            "ECS Task State Change",
            &[],
            json!({}),
            SystemTime::now(),
        );

        let mut log = EventLog::create(path.clone()).unwrap();
        log.write(&events.take());
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["source"], "aws.ecs");
        assert_ne!(lines[0]["id"], lines[1]["id"]);
        assert!(events.take().is_empty());
    }

    #[test]
    fn keeps_the_file_within_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::create(path.clone()).unwrap();
        log.bytes = MAX_BYTES;
        log.write(&[json!({ "number": 1 })]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"number\":1}\n");
        assert!(folder.path().join("events.jsonl.1").exists());
    }
}
