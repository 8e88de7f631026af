//! What every process in a task shares: settings, health, shutdown, telemetry, HTTP.
