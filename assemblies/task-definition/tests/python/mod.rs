//! Runs programs with the Python of the workspace's `.venv`, which `make setup` creates.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a Python program and returns its JSON output, or `None` if the module is not installed.
pub(crate) fn run(test: &str, module: &str, program: &str) -> Option<Value> {
    run_with_input(test, module, program, "")
}

/// Runs a Python program with standard input.
pub(crate) fn run_with_input(
    test: &str,
    module: &str,
    program: &str,
    input: &str,
) -> Option<Value> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let import = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .output();

    if !import.is_ok_and(|output| output.status.success()) {
        // libtest captures eprintln! and drops it when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test} needs .venv with {module}"
        );
        return None;
    }

    let mut process = Command::new(&python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    process
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();

    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{test}: Python failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
