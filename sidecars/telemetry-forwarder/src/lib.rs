//! Receives OTLP from the containers of a task, batches it, and sends it on.
