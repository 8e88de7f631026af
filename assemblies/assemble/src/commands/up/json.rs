//! Prints events for programs: one JSON object per line, in the format of ECS's own events.

use std::io::{Write, stdout};

use local::{EventSink, TaskRecord};
use task_runner::RunnerEvent;

/// Prints each event with the state of the task after it.
#[derive(Debug)]
pub(super) struct JsonSink {
    record: TaskRecord,
}

impl JsonSink {
    /// Creates a sink from the record of a task that has not started.
    pub(super) fn new(record: TaskRecord) -> Self {
        Self { record }
    }
}

impl EventSink for JsonSink {
    fn event(&mut self, event: &RunnerEvent) {
        self.record.update(event);
        let _ = writeln!(stdout(), "{}", self.record.to_json(event));
    }
}
