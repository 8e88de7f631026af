//! The `sidecars` program: every sidecar in one binary, so that the containers of a task share one image and its
//! pages in memory.
//!
//! ```text
//! sidecars tls-proxy serve      the first argument names the sidecar …
//! tls-proxy serve               … unless the program is called by the sidecar's name, through a link
//! ```
//!
//! A sidecar joins with one line in [`MEMBERS`], one in `Cargo.toml` and one in `bundle.yaml`.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

mod members;

use members::Member;

/// The sidecars, in the order in which the list shows them.
const MEMBERS: &[Member] = &[
    Member::new::<tls_proxy::TlsProxy>(),
    Member::new::<auth_filter::AuthFilter>(),
    Member::new::<telemetry_forwarder::TelemetryForwarder>(),
];

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let called_as = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.map(into_text).collect();
    members::run(MEMBERS, &into_text(called_as), &arguments)
}

/// Converts an argument to text. No verb or setting has a name that is not UTF-8, so a lossy one is reported as
/// unknown, where `std::env::args` would panic.
fn into_text(argument: OsString) -> String {
    argument
        .into_string()
        .unwrap_or_else(|argument| argument.to_string_lossy().into_owned())
}
