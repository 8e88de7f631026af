//! The binary; all logic is in the library.

fn main() -> std::process::ExitCode {
    chassis::main::<telemetry_forwarder::TelemetryForwarder>()
}
