//! Where output goes: this crate prints nothing itself.

use std::io::Write;

use task_definition::TaskDefinition;

use crate::events::EventSink;
use crate::json::TaskRecord;

/// The caller's output.
pub trait Messages: Send + Sync {
    /// Prints a message for people. It may have several lines.
    fn message(&self, line: &str);

    /// Returns a writer of results, which another thread may use.
    fn results(&self) -> Box<dyn Write + Send>;

    /// Returns a sink that prints the events of a task: `record` is its state before it starts, and `replica` its
    /// number if it is one task of a service.
    fn event_sink(
        &self,
        definition: &TaskDefinition,
        record: &TaskRecord,
        replica: Option<u8>,
    ) -> Box<dyn EventSink>;
}
