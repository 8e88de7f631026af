//! The process: everything it does is in the library.

fn main() -> std::process::ExitCode {
    chassis::main::<telemetry_forwarder::TelemetryForwarder>()
}
