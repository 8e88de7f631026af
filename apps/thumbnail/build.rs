//! Finds libav with pkg-config and compiles `layout.c`, which accesses its structures.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build script communicates with cargo through stdout"
)]

use std::process::ExitCode;

/// The libraries and their minimum versions (FFmpeg 5.0).
const LIBRARIES: [(&str, &str); 4] = [
    ("libavformat", "59.16"),
    ("libavcodec", "59.18"),
    ("libswscale", "6.4"),
    ("libavutil", "57.17"),
];

const INSTALL: &str = "apt-get install -y --no-install-recommends pkg-config \
    libavformat-dev libavcodec-dev libswscale-dev libavutil-dev";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/libav/layout.c");
    match probe() {
        Ok(headers) => compile(&headers),
        Err(missing) => {
            println!(
                "cargo::error=thumbnail needs the headers of libav (FFmpeg 5 or newer): {missing}"
            );
            println!("cargo::error=install them: `{INSTALL}`, or run `make setup`");
            return ExitCode::FAILURE;
        }
    }

    ExitCode::SUCCESS
}

fn probe() -> Result<Vec<std::path::PathBuf>, String> {
    let mut headers = Vec::new();
    for (name, version) in LIBRARIES {
        let found = pkg_config::Config::new()
            .atleast_version(version)
            .probe(name)
            .map_err(|_| format!("`{name}` {version} or newer not found by pkg-config"))?;
        headers.extend(found.include_paths);
    }
    Ok(headers)
}

fn compile(headers: &[std::path::PathBuf]) {
    cc::Build::new()
        .file("src/libav/layout.c")
        .includes(headers)
        .warnings(true)
        .extra_warnings(true)
        .flag_if_supported("-Wno-deprecated-declarations")
        .compile("thumbnail_layout");
}
