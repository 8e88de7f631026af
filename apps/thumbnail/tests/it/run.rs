//! The verb `run` through the real binary: its files, its line, its exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use thumbnail::Kind;

use crate::clips::{self, film};
use crate::server::{Conduct, Server};

/// Runs `thumbnail run` in a folder with nothing but these variables.
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

/// The line that was printed; there is exactly one.
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

/// The run failed in this class, with its exit code, and stored nothing.
pub(crate) fn fails(output: &Output, kind: Kind) {
    let report = report(output);
    assert_eq!(report["error"]["kind"], kind.name(), "{report}");
    assert_eq!(
        output.status.code(),
        Some(i32::from(kind.exit_code())),
        "{report}"
    );
}

#[test]
fn a_film_becomes_a_jpeg_beside_where_it_runs() {
    let Some(film) = clips::mp4() else { return };
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &[film.to_str().unwrap()],
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
fn the_moment_and_the_format_can_be_chosen() {
    let Some(film) = clips::mp4() else { return };
    let folder = clips::scratch();
    let variables = [
        ("THUMBNAIL_INPUT", film.to_str().unwrap()),
        ("THUMBNAIL_OUTPUT", "a.png"),
        ("THUMBNAIL_AT", "0:05.03"),
        ("THUMBNAIL_SEEK", "exact"),
    ];

    let output = run(folder.path(), &[], &variables);
    assert_eq!(report(&output)["pts"], 5.0);
    assert_eq!(
        clips::number(&std::fs::read(folder.path().join("a.png")).unwrap()),
        125
    );
}

#[test]
fn past_the_end_is_the_last_frame_and_says_so() {
    let Some(film) = clips::mp4() else { return };
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &[film.to_str().unwrap(), "a.png"],
        &[("THUMBNAIL_AT", "300")],
    );

    assert_eq!(report(&output)["clamped"], true);
    assert_eq!(
        clips::number(&std::fs::read(folder.path().join("a.png")).unwrap()),
        199
    );
}

#[test]
fn the_original_tasks_five_names_work() {
    let Some(film) = clips::mp4() else { return };
    let server = Server::start();
    let input = server.serve("/a%20film.mp4", Conduct::Film(std::fs::read(film).unwrap()));
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
    let asked = server.asked();
    let stored = asked.iter().find(|asked| asked.method == "PUT").unwrap();
    assert_eq!(stored.path, "/pictures/small/a.png");
    assert!(stored.headers["authorization"].contains("/eu-west-1/s3/aws4_request"));
    assert_eq!(clips::number(&stored.body), 100);
}

#[test]
fn each_class_of_failure_has_its_exit_code() {
    let folder = clips::scratch();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let fails_with = |input: &str, kind| fails(&run(folder.path(), &[input, "a.jpg"], &[]), kind);

    fails(&run(folder.path(), &[], &[]), Kind::Usage);
    fails_with("ftp://example.com/a.mp4", Kind::Usage);
    fails_with("no-such-film.mp4", Kind::SourceNotFound);
    fails_with(&file("empty.mp4", b""), Kind::Empty);
    fails_with(
        &file("page.mp4", b"<!doctype html><title>no film</title>"),
        Kind::NotMedia,
    );

    let noise: Vec<u8> = (0..20_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fails_with(&file("noise.mp4", &noise), Kind::NotMedia);
    fails_with(
        &file(
            "cut.mp4",
            b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\x10\0moov",
        ),
        Kind::Damaged,
    );

    assert!(!folder.path().join("a.jpg").exists());
    if let Some(sound) = film("sound.m4a", &["-map", "1", "-c:a", "aac"]) {
        fails_with(sound.to_str().unwrap(), Kind::NoVideo);
    }

    if let Some(film) = clips::mp4() {
        let film = film.to_str().unwrap();
        fails(
            &run(folder.path(), &[film, "no/folder/a.jpg"], &[]),
            Kind::SinkFailed,
        );

        let small = [("THUMBNAIL_MAX_PIXELS", "1000")];
        fails(
            &run(folder.path(), &[film, "a.jpg"], &small),
            Kind::Unsupported,
        );
    }
}

#[test]
fn the_film_itself_is_no_place_for_the_picture() {
    let Some(film) = clips::mp4() else { return };
    let folder = clips::scratch();
    let path = folder.path().join("film.mp4");
    std::fs::copy(&film, &path).unwrap();
    std::os::unix::fs::symlink("film.mp4", folder.path().join("link.jpg")).unwrap();

    let absolute = path.to_str().unwrap();
    for arguments in [
        ["film.mp4", "film.mp4"],
        ["film.mp4", "./film.mp4"],
        [absolute, "film.mp4"],
        ["film.mp4", "link.jpg"],
        ["link.jpg", "film.mp4"],
    ] {
        fails(&run(folder.path(), &arguments, &[]), Kind::Usage);
    }

    // A film with the name of a picture: the name that is made up would be its own.
    std::fs::copy(&film, folder.path().join("odd.jpg")).unwrap();
    fails(&run(folder.path(), &["odd.jpg"], &[]), Kind::Usage);
    let bytes = std::fs::read(film).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
    assert!(std::fs::read(folder.path().join("odd.jpg")).unwrap() == bytes);
    assert!(folder.path().join("link.jpg").is_symlink());
}

#[test]
fn an_object_is_not_replaced_by_its_own_picture() {
    let server = Server::start();
    let endpoint = format!("http://{}", server.address);
    let output = run(
        clips::scratch().path(),
        &["s3://films/a.mp4", "s3://films/a.mp4"],
        &[
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ],
    );

    fails(&output, Kind::Usage);
    assert!(server.asked().is_empty());
}

#[test]
fn the_original_tasks_definition_needs_no_verb() {
    let folder = clips::scratch();
    let output = Command::new(env!("CARGO_BIN_EXE_thumbnail"))
        .current_dir(folder.path())
        .env_clear()
        .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
        .env("INPUT_VIDEO_FILE_URL", "no-such-film.mp4")
        .env("OUTPUT_THUMBS_FILE_NAME", "a.jpg")
        .output()
        .unwrap();
    fails(&output, Kind::SourceNotFound);
}

#[test]
fn a_playlist_is_refused_and_what_it_names_is_not_asked() {
    let server = Server::start();
    let secret = server.serve("/secret.ts", Conduct::Film(vec![0x47; 188 * 10]));
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n");
    let script = format!("ffconcat version 1.0\nfile '{secret}'\n");
    let folder = clips::scratch();

    for text in [playlist, script] {
        std::fs::write(folder.path().join("film.mp4"), text).unwrap();
        fails(&run(folder.path(), &["film.mp4"], &[]), Kind::NotMedia);
    }

    assert!(server.asked().is_empty());
}

#[test]
fn settings_that_make_no_sense_are_told_before_anything_is_read() {
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &["a.mp4"],
        &[("THUMBNAIL_AT", "noon"), ("THUMBNAIL_QUALITY", "0")],
    );

    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("THUMBNAIL_AT") && said.contains("THUMBNAIL_QUALITY"),
        "{said}"
    );
}

#[test]
fn the_trace_of_whoever_started_the_task_goes_on() {
    let Some(film) = clips::mp4() else { return };
    let collector = Server::start();
    collector.serve("/v1/traces", Conduct::Whole(Vec::new()));
    collector.serve("/v1/metrics", Conduct::Whole(Vec::new()));

    let endpoint = format!("http://{}", collector.address);
    let folder = clips::scratch();
    let output = run(
        folder.path(),
        &[film.to_str().unwrap()],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            (
                "TRACEPARENT",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ],
    );

    assert_eq!(output.status.code(), Some(0));
    let asked = collector.asked();
    let traces: Vec<&[u8]> = asked
        .iter()
        .filter(|it| it.path == "/v1/traces")
        .map(|it| &it.body[..])
        .collect();
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let parent = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();

    for sought in [&trace[..], &parent[..], b"thumbnail run", b"pick", b"store"] {
        assert!(
            traces.iter().any(|body| holds(body, sought)),
            "{sought:?} in {traces:?}"
        );
    }
}

#[test]
fn sigterm_ends_a_run_that_waits() {
    let server = Server::start();
    let input = server.serve("/silent", Conduct::Silent);
    let folder = clips::scratch();
    let mut running = Command::new(env!("CARGO_BIN_EXE_thumbnail"))
        .args(["run", &input])
        .current_dir(folder.path())
        .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
        .spawn()
        .unwrap();

    let began = std::time::Instant::now();
    while server.asked().is_empty() {
        assert!(began.elapsed().as_secs() < 20, "the film is not asked for");
        std::thread::yield_now();
    }

    // The shell has `kill` built in, also where there is no program of that name.
    let kill = format!("kill -TERM {}", running.id());
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );

    assert_eq!(running.wait().unwrap().code(), Some(143));
    assert!(began.elapsed().as_secs() < 25);
}

fn holds(body: &[u8], sought: &[u8]) -> bool {
    body.windows(sought.len()).any(|window| window == sought)
}
