//! Asks the Python of the workspace's `.venv`, which `make setup` makes.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a Python program prints, as JSON, or nothing when there is no Python with that module.
pub(crate) fn printed(test: &str, module: &str, program: &str) -> Option<Value> {
    answered(test, module, program, "")
}

/// The same, with something to read.
pub(crate) fn answered(test: &str, module: &str, program: &str, input: &str) -> Option<Value> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let has = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .output();

    if !has.is_ok_and(|output| output.status.success()) {
        // Not eprintln: what libtest captures of a passing test is never seen.
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
