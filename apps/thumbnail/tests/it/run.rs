//! Tests the verb `run` of the binary: files, report, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use thumbnail::ErrorKind;

use crate::clips::{self, video};
use crate::server::{Behavior, Server};

/// Runs `thumbnail run` in a folder with only these variables.
pub(crate) fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thumbnail"))
        .arg("run")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// Returns the report; asserts that it is the only line of output.
pub(crate) fn report(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines.len(),
        1,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(lines[0]).unwrap()
}

/// Asserts that the run failed with this kind and its exit code.
pub(crate) fn fails(output: &Output, kind: ErrorKind) {
    let report = report(output);
    assert_eq!(report["error"]["kind"], kind.name(), "{report}");
    assert_eq!(
        output.status.code(),
        Some(i32::from(kind.exit_code())),
        "{report}"
    );
}

#[test]
fn makes_a_jpeg_in_the_working_directory() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &[video.to_str().unwrap()],
        &[("THUMBNAIL_WIDTH", "160")],
    );

    assert_eq!(output.status.code(), Some(0));
    let report = report(&output);
    assert_eq!(report["kind"], "thumbnail");
    assert_eq!(
        (report["width"].as_u64(), report["height"].as_u64()),
        (Some(160), Some(90))
    );
    assert_eq!(report["codec"], "h264");
    assert_eq!(report["output"], "h264.jpg");

    assert!(report["error"].is_null());
    let picture = std::fs::read(folder.path().join("h264.jpg")).unwrap();
    assert_eq!(report["bytes"], picture.len());
    let picture = image::load_from_memory_with_format(&picture, image::ImageFormat::Jpeg).unwrap();
    assert_eq!((picture.width(), picture.height()), (160, 90));
}

#[test]
fn applies_position_and_format_settings() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let variables = [
        ("THUMBNAIL_INPUT", video.to_str().unwrap()),
        ("THUMBNAIL_OUTPUT", "a.png"),
        ("THUMBNAIL_AT", "0:05.03"),
        ("THUMBNAIL_SEEK", "exact"),
    ];

    let output = run(folder.path(), &[], &variables);
    // 5.03 s is within the frame that starts at 5.0 s (40 ms per frame).
    assert_eq!(report(&output)["pts"], 5.0);
    assert_eq!(
        clips::number(&std::fs::read(folder.path().join("a.png")).unwrap()),
        125
    );
}

#[test]
fn clamps_a_position_past_the_end() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &[video.to_str().unwrap(), "a.png"],
        &[("THUMBNAIL_AT", "300")],
    );

    assert_eq!(report(&output)["clamped"], true);
    assert_eq!(
        clips::number(&std::fs::read(folder.path().join("a.png")).unwrap()),
        199
    );
}

#[test]
fn accepts_the_legacy_variables() {
    let Some(video) = clips::mp4() else { return };
    let server = Server::start();
    let input = server.serve(
        "/a%20video.mp4",
        Behavior::Video(std::fs::read(video).unwrap()),
    );
    let folder = clips::scratch();
    let endpoint = format!("http://{}", server.address);
    let output = run(
        folder.path(),
        &[],
        &[
            ("INPUT_VIDEO_FILE_URL", &input.replace("%20", " ")),
            ("POSITION_TIME_DURATION", "00:00:04"),
            ("OUTPUT_S3_PATH", "pictures/small"),
            ("OUTPUT_THUMBS_FILE_NAME", "a.png"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );

    assert_eq!(output.status.code(), Some(0), "{}", report(&output));
    let requests = server.requests();
    let stored = requests
        .iter()
        .find(|request| request.method == "PUT")
        .unwrap();
    assert_eq!(stored.path, "/pictures/small/a.png");
    assert!(stored.headers["authorization"].contains("/eu-west-1/s3/aws4_request"));
    assert_eq!(clips::number(&stored.body), 100);
}

#[test]
fn exits_with_the_code_of_the_error_kind() {
    let folder = clips::scratch();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let fails_with = |input: &str, kind| fails(&run(folder.path(), &[input, "a.jpg"], &[]), kind);

    fails(&run(folder.path(), &[], &[]), ErrorKind::Usage);
    fails_with("ftp://example.com/a.mp4", ErrorKind::Usage);
    fails_with("no-such-video.mp4", ErrorKind::SourceNotFound);
    fails_with(&file("empty.mp4", b""), ErrorKind::Empty);
    fails_with(
        &file("page.mp4", b"<!doctype html><title>no video</title>"),
        ErrorKind::NotMedia,
    );

    // Multiplicative hashing: bytes that look random but are the same in every run.
    let noise: Vec<u8> = (0..20_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fails_with(&file("noise.mp4", &noise), ErrorKind::NotMedia);
    fails_with(
        &file(
            "cut.mp4",
            b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\x10\0moov",
        ),
        ErrorKind::Damaged,
    );

    // No failed run has left an output.
    assert!(!folder.path().join("a.jpg").exists());
    if let Some(sound) = video("sound.m4a", &["-map", "1", "-c:a", "aac"]) {
        fails_with(sound.to_str().unwrap(), ErrorKind::NoVideo);
    }

    if let Some(video) = clips::mp4() {
        let video = video.to_str().unwrap();
        fails(
            &run(folder.path(), &[video, "no/folder/a.jpg"], &[]),
            ErrorKind::SinkFailed,
        );

        let small = [("THUMBNAIL_MAX_PIXELS", "1000")];
        fails(
            &run(folder.path(), &[video, "a.jpg"], &small),
            ErrorKind::Unsupported,
        );
    }
}

#[test]
fn refuses_to_overwrite_the_input() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let path = folder.path().join("video.mp4");
    std::fs::copy(&video, &path).unwrap();
    std::os::unix::fs::symlink("video.mp4", folder.path().join("link.jpg")).unwrap();

    let absolute = path.to_str().unwrap();
    for arguments in [
        ["video.mp4", "video.mp4"],
        ["video.mp4", "./video.mp4"],
        [absolute, "video.mp4"],
        ["video.mp4", "link.jpg"],
        ["link.jpg", "video.mp4"],
    ] {
        fails(&run(folder.path(), &arguments, &[]), ErrorKind::Usage);
    }

    // The default output of a video named `.jpg` is the video itself.
    std::fs::copy(&video, folder.path().join("video.jpg")).unwrap();
    fails(&run(folder.path(), &["video.jpg"], &[]), ErrorKind::Usage);
    let bytes = std::fs::read(video).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
    assert!(std::fs::read(folder.path().join("video.jpg")).unwrap() == bytes);
    assert!(folder.path().join("link.jpg").is_symlink());
}

#[test]
fn refuses_an_output_that_is_not_a_file() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());

    for output in [&fifo, Path::new("/dev/null"), folder.path()] {
        let before = output.metadata().unwrap().file_type();
        let arguments = [video.to_str().unwrap(), output.to_str().unwrap()];
        let result = run(folder.path(), &arguments, &[]);

        fails(&result, ErrorKind::Usage);
        // Refused before anything is read.
        assert_eq!(report(&result)["bytes_fetched"], 0);
        assert_eq!(output.metadata().unwrap().file_type(), before);
    }
}

#[test]
fn refuses_an_unknown_extension_of_the_output() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let arguments = [video.to_str().unwrap(), "a.webp"];

    fails(&run(folder.path(), &arguments, &[]), ErrorKind::Usage);
    assert!(!folder.path().join("a.webp").exists());

    let output = run(folder.path(), &arguments, &[("THUMBNAIL_FORMAT", "png")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn refuses_to_overwrite_the_input_object() {
    let server = Server::start();
    let endpoint = format!("http://{}", server.address);
    let output = run(
        clips::scratch().path(),
        &["s3://videos/a.mp4", "s3://videos/a.mp4"],
        &[
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );

    fails(&output, ErrorKind::Usage);
    assert!(server.requests().is_empty());
}

#[test]
fn legacy_task_definitions_need_no_verb() {
    let folder = clips::scratch();
    let output = Command::new(env!("CARGO_BIN_EXE_thumbnail"))
        .current_dir(folder.path())
        .env_clear()
        .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
        .env("INPUT_VIDEO_FILE_URL", "no-such-video.mp4")
        .env("OUTPUT_THUMBS_FILE_NAME", "a.jpg")
        .output()
        .unwrap();
    fails(&output, ErrorKind::SourceNotFound);
}

#[test]
fn rejects_playlists_without_requesting_their_entries() {
    let server = Server::start();
    let secret = server.serve("/secret.ts", Behavior::Video(vec![0x47; 188 * 10]));
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n");
    let script = format!("ffconcat version 1.0\nfile '{secret}'\n");
    let folder = clips::scratch();

    for text in [playlist, script] {
        std::fs::write(folder.path().join("video.mp4"), text).unwrap();
        fails(
            &run(folder.path(), &["video.mp4"], &[]),
            ErrorKind::NotMedia,
        );
    }

    assert!(server.requests().is_empty());
}

#[test]
fn reports_invalid_settings_before_reading_anything() {
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &["a.mp4"],
        &[("THUMBNAIL_AT", "noon"), ("THUMBNAIL_QUALITY", "0")],
    );

    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("THUMBNAIL_AT") && errors.contains("THUMBNAIL_QUALITY"),
        "{errors}"
    );
}

#[test]
fn continues_the_trace_in_traceparent() {
    let Some(video) = clips::mp4() else { return };
    let collector = Server::start();
    collector.serve("/v1/traces", Behavior::Whole(Vec::new()));
    collector.serve("/v1/metrics", Behavior::Whole(Vec::new()));

    let endpoint = format!("http://{}", collector.address);
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &[video.to_str().unwrap()],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            (
                "TRACEPARENT",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ],
    );

    assert_eq!(output.status.code(), Some(0));
    let requests = collector.requests();
    // Protobuf holds ids and names as plain bytes, so a search is enough.
    let traces: Vec<&[u8]> = requests
        .iter()
        .filter(|request| request.path == "/v1/traces")
        .map(|request| &request.body[..])
        .collect();
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let parent = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();

    for expected in [&trace[..], &parent[..], b"thumbnail run", b"pick", b"store"] {
        assert!(
            traces.iter().any(|body| contains(body, expected)),
            "{expected:?} in {traces:?}"
        );
    }
}

#[test]
fn exits_on_sigterm_while_waiting() {
    let server = Server::start();
    let input = server.serve("/silent", Behavior::Silent);
    let folder = clips::scratch();
    let mut running = Command::new(env!("CARGO_BIN_EXE_thumbnail"))
        .args(["run", &input])
        .current_dir(folder.path())
        .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
        .spawn()
        .unwrap();

    let start = std::time::Instant::now();
    while server.requests().is_empty() {
        assert!(
            start.elapsed().as_secs() < 20,
            "the video was not requested"
        );
        std::thread::yield_now();
    }

    // `kill` is a shell builtin, so that no `kill` program is required.
    let kill = format!("kill -TERM {}", running.id());
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );

    assert_eq!(running.wait().unwrap().code(), Some(143));
    assert!(start.elapsed().as_secs() < 25);
}

fn contains(body: &[u8], expected: &[u8]) -> bool {
    body.windows(expected.len())
        .any(|window| window == expected)
}
