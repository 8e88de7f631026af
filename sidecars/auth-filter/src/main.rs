//! The auth-filter program.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main::<auth_filter::AuthFilter>()
}
