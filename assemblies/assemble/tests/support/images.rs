//! Images for tests: layouts with a static busybox, and a registry on loopback.

#![allow(dead_code, reason = "each test binary uses only some of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use registry::layout::{self, Compression, ContainerConfig, ImageConfig, LayerBuilder, Owner};

/// Writes a layout of an image with `files` and `folders`.
pub(crate) fn write(
    folder: &Path,
    files: &[(&str, Vec<u8>)],
    folders: &[(&str, Owner)],
    config: ContainerConfig,
) {
    let mut layer = LayerBuilder::new(0);
    for (path, content) in files {
        layer
            .file(path, content.clone(), 0o755, Owner::ROOT)
            .expect("a file");
    }
    for (path, owner) in folders {
        layer.directory(path, 0o755, *owner).expect("a folder");
    }
    let config = ImageConfig {
        architecture: host_architecture().to_owned(),
        os: "linux".to_owned(),
        config,
        ..ImageConfig::default()
    };
    let layers = vec![layer.finish(Compression::Zstd).expect("a layer")];
    let image = layout::Image::new(config, layers, BTreeMap::new());
    layout::write(folder, "test", &[image]).expect("a layout");
}

/// Returns the architecture of this host as images name it.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

/// Returns a static shell as the file `bin/busybox`, or `None` with a message.
pub(crate) fn busybox() -> Option<Vec<(&'static str, Vec<u8>)>> {
    match std::fs::read("/bin/busybox") {
        Ok(content) => Some(vec![("bin/busybox", content)]),
        Err(_) => {
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: there is no /bin/busybox (Debian: busybox-static)");
            }
            None
        }
    }
}

/// Returns a configuration that runs a line of shell.
pub(crate) fn shell(line: &str) -> ContainerConfig {
    ContainerConfig {
        cmd: ["/bin/busybox", "sh", "-c", line].map(str::to_owned).into(),
        ..ContainerConfig::default()
    }
}

/// Serves a layout as any repository with any tag, and returns the address.
pub(crate) fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            let mut first = String::new();
            let _ = reader.read_line(&mut first);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }

            let name = first.split(' ').nth(1).unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            let file = match name.strip_prefix("sha256:") {
                Some(digest) => folder.join("blobs/sha256").join(digest),
                None => folder.join("index.json"),
            };
            let (status, body) = match std::fs::read(file) {
                Ok(body) if !first.contains("/absent/") => ("200 OK", body),
                _ => ("404 Not Found", b"{}".to_vec()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let mut stream = reader.into_inner();
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0]);
        }
    });
    address
}
