//! Says whether this build is the portable one: for a system other than Linux, or because it is asked for.

use std::env;
use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut cargo = io::stdout();
    writeln!(cargo, "cargo::rustc-check-cfg=cfg(portable)")?;
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    writeln!(cargo, "cargo::rerun-if-env-changed={ASKED}")?;
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is(ASKED, "1") || !is("CARGO_CFG_TARGET_OS", "linux") {
        writeln!(cargo, "cargo::rustc-cfg=portable")?;
    }
    Ok(())
}

/// Builds on Linux what would be built elsewhere, so that it can be tested.
const ASKED: &str = "TASK_RUNNER_PORTABLE";
