//! A TLS proxy that stands in front of an app in the same task.
