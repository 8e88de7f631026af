//! Tests the decoding process: its limits, and that the service outlives the worst videos.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use thumbnail::ErrorKind;

use crate::clips::{self, video_from};
use crate::run::{fails, report, run};

/// Writes an MP4 of a few kilobytes whose headers declare a track of 40 million samples of one byte. libav's index
/// of them takes 900 MiB.
fn millions_of_samples(folder: &Path) -> Option<PathBuf> {
    const SAMPLES: u32 = 40_000_000;

    let picture = "testsrc2=size=320x180:rate=25:duration=8";
    let source = video_from(
        "one.mp4",
        picture,
        &["-frames:v", "1", "-c:v", "libx264", "-an"],
    )?;
    let mut bytes = std::fs::read(source).unwrap();
    let mut patch = |name: &[u8], offset: usize, values: &[u32]| {
        let found = bytes.windows(4).position(|window| window == name).unwrap();
        for (index, value) in values.iter().enumerate() {
            let at = found + offset + 4 * index;
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
    };

    // Sample sizes: one size for all. Sample-to-chunk: all in one chunk. Time-to-sample: one duration
    // (ISO/IEC 14496-12, 8.7.3, 8.7.4, 8.6.1).
    patch(b"stsz", 8, &[1, SAMPLES]);
    patch(b"stsc", 16, &[SAMPLES]);
    patch(b"stts", 12, &[SAMPLES]);

    let path = folder.join("samples.mp4");
    std::fs::write(&path, bytes).unwrap();
    Some(path)
}

/// Generates a black video of 8192 x 8192 pixels, the maximum.
fn largest() -> Option<PathBuf> {
    let arguments = ["-frames:v", "1", "-c:v", "png", "-pix_fmt", "rgb24", "-an"];
    video_from(
        "largest.mov",
        "color=black:size=8192x8192:rate=1:duration=1",
        &arguments,
    )
}

#[test]
fn refuses_a_video_whose_index_needs_too_much_memory() {
    let folder = clips::scratch();
    let Some(video) = millions_of_samples(folder.path()) else {
        return;
    };
    let output = run(folder.path(), &[video.to_str().unwrap(), "a.jpg"], &[]);

    // libav goes on without an index.
    fails(&output, ErrorKind::NoFrame);
    assert!(!folder.path().join("a.jpg").exists());
}

#[test]
fn refuses_a_picture_that_needs_too_much_memory() {
    let Some(video) = largest() else { return };
    let folder = clips::scratch();
    let full_size = [("THUMBNAIL_WIDTH", "8192"), ("THUMBNAIL_FORMAT", "png")];
    let output = run(
        folder.path(),
        &[video.to_str().unwrap(), "a.png"],
        &full_size,
    );
    fails(&output, ErrorKind::Unsupported);

    let output = run(
        folder.path(),
        &[video.to_str().unwrap(), "a.png"],
        &[("THUMBNAIL_MAX_DECODER_MEMORY_BYTES", "1073741824")],
    );
    assert_eq!(report(&output)["source_width"], 8192);
}

#[test]
fn never_returns_another_frame_for_lack_of_memory() {
    // Frames of 3 MB, so that some of the limits are between those of two frames.
    let picture = "testsrc2=size=1920x1080:rate=25:duration=1";
    let arguments = [
        "-map",
        "0",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "25",
        "-bf",
        "2",
        "-refs",
        "4",
        "-pix_fmt",
        "yuv420p",
    ];
    let Some(video) = video_from("frames.mp4", picture, &arguments) else {
        return;
    };
    let folder = clips::scratch();
    let (mut made, mut refused) = (0, 0);

    // From too little for the program up to enough for the video.
    for mebibytes in (20..=100).step_by(4) {
        let bytes = (mebibytes * 1024 * 1024).to_string();
        let variables = [
            ("THUMBNAIL_MAX_DECODER_MEMORY_BYTES", bytes.as_str()),
            ("THUMBNAIL_SEEK", "exact"),
            ("THUMBNAIL_AT", "0.5"),
        ];
        let output = run(
            folder.path(),
            &[video.to_str().unwrap(), "a.png"],
            &variables,
        );
        if output.status.success() {
            let picture = std::fs::read(folder.path().join("a.png")).unwrap();
            assert_eq!(clips::number(&picture), 12, "{mebibytes} MiB");
            made += 1;
        } else {
            let kind = report(&output)["error"]["kind"].clone();
            assert!(
                kind == "unsupported" || kind == "no_frame",
                "{mebibytes} MiB: {kind}"
            );
            refused += 1;
        }
    }

    assert!(
        made > 0 && refused > 0,
        "{made} pictures, {refused} refusals"
    );
}

#[test]
fn the_service_answers_after_the_worst_videos() {
    let folder = clips::scratch();
    let (Some(samples), Some(good)) = (millions_of_samples(folder.path()), clips::mp4()) else {
        return;
    };
    let service = Service::start();

    for _ in 0..3 {
        assert_eq!(service.post(&samples), "422");
    }
    assert_eq!(service.post(&good), "200");
}

/// The program as a service; ended when dropped.
struct Service {
    child: Child,
    address: String,
    /// Kept open, since the service writes its log to it.
    _log: BufReader<ChildStdout>,
}

impl Service {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_thumbnail"))
            .env_clear()
            .env("THUMBNAIL_LISTEN", "127.0.0.1:0")
            .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();

        let mut log = BufReader::new(child.stdout.take().unwrap());
        let address = log.by_ref().lines().map(Result::unwrap).find_map(|line| {
            let entry: Value = serde_json::from_str(&line).unwrap();
            let address = entry["address"].as_str()?.to_owned();
            (entry["message"] == "serving").then_some(address)
        });
        Self {
            child,
            address: address.unwrap(),
            _log: log,
        }
    }

    /// Sends a video and returns the status.
    fn post(&self, video: &Path) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(["--output", "/dev/null", "--write-out", "%{http_code}"])
            .arg("--data-binary")
            .arg(format!("@{}", video.display()))
            .arg(format!("http://{}/v1/thumbnail", self.address))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
