//! The output of local runs.

use std::io::{Write, stdout};

use local::{EventSink, Messages, TaskRecord};
use task_definition::TaskDefinition;

use super::console::ConsoleSink;
use super::json::JsonSink;
use crate::ui::Ui;

/// Sends messages to [`Ui`], and events to the sink of the chosen format.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) ui: Ui,
    json: bool,
}

impl Output {
    /// Creates the output; with `json`, events are printed as JSON lines.
    pub(super) fn new(ui: &Ui, json: bool) -> Self {
        Self {
            ui: ui.clone(),
            json,
        }
    }
}

impl Messages for Output {
    fn message(&self, line: &str) {
        self.ui.message(line);
    }

    fn results(&self) -> Box<dyn Write + Send> {
        Box::new(stdout())
    }

    fn event_sink(
        &self,
        definition: &TaskDefinition,
        record: &TaskRecord,
        replica: Option<u8>,
    ) -> Box<dyn EventSink> {
        if self.json {
            Box::new(JsonSink::new(record.clone()))
        } else {
            Box::new(ConsoleSink::new(definition, replica, &self.ui))
        }
    }
}
