//! Compares a static build, with the libraries of `libav/build`, with the dynamic build of the tests.
//!
//! Skipped with a message if the cache of `libav/build` is empty: compiling FFmpeg takes minutes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::clips::{self, video};

/// Videos in all containers and codecs that ffmpeg can make, with the arguments for them.
const CORPUS: [(&str, &str); 38] = [
    (
        "h264.mp4",
        "-c:v libx264 -g 50 -bf 2 -pix_fmt yuv420p -c:a aac",
    ),
    (
        "h264-fragments.mp4",
        "-c:v libx264 -g 50 -pix_fmt yuv420p -c:a aac -movflags frag_keyframe+empty_moov",
    ),
    (
        "h264.mkv",
        "-c:v libx264 -g 50 -pix_fmt yuv420p -c:a libvorbis",
    ),
    (
        "h264-live.mkv",
        "-c:v libx264 -g 50 -pix_fmt yuv420p -f matroska -live 1",
    ),
    ("h264.ts", "-c:v libx264 -g 50 -pix_fmt yuv420p -c:a aac"),
    (
        "h264-ac3.ts",
        "-c:v libx264 -g 50 -pix_fmt yuv420p -c:a ac3",
    ),
    ("h264.flv", "-c:v libx264 -g 50 -pix_fmt yuv420p -ar 44100"),
    ("h264-422.mp4", "-c:v libx264 -pix_fmt yuv422p10le"),
    ("h264-444.mp4", "-c:v libx264 -pix_fmt yuv444p"),
    (
        "h264-interlaced.ts",
        "-c:v libx264 -pix_fmt yuv420p -flags +ilme+ildct",
    ),
    (
        "hevc.mp4",
        "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p -tag:v hvc1",
    ),
    (
        "hevc-10.mp4",
        "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le",
    ),
    (
        "hevc.ts",
        "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p",
    ),
    ("vp8.webm", "-c:v libvpx -deadline realtime"),
    ("vp8.ivf", "-c:v libvpx -deadline realtime -an"),
    ("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8"),
    (
        "vp9-10.webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p10le",
    ),
    ("av1.mp4", "-c:v libsvtav1 -preset 12"),
    (
        "av1-10.mkv",
        "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p10le",
    ),
    ("mpeg1.mpg", "-c:v mpeg1video -q:v 3"),
    ("mpeg2.mpg", "-c:v mpeg2video -q:v 3 -g 15 -bf 2"),
    ("mpeg2.mxf", "-c:v mpeg2video -q:v 3 -an"),
    ("mpeg4.avi", "-c:v mpeg4 -q:v 3"),
    ("msmpeg4-2.avi", "-c:v msmpeg4v2 -q:v 3"),
    ("msmpeg4.avi", "-c:v msmpeg4 -q:v 3"),
    ("h263.3gp", "-c:v h263 -s 352x288 -an"),
    ("flv1.flv", "-c:v flv -ar 44100"),
    ("prores.mov", "-c:v prores"),
    (
        "dnxhr.mov",
        "-c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p",
    ),
    ("mjpeg.mov", "-c:v mjpeg -q:v 4 -pix_fmt yuvj420p"),
    ("wmv1.asf", "-c:v wmv1 -q:v 3"),
    ("wmv2.asf", "-c:v wmv2 -q:v 3"),
    ("theora.ogg", "-c:v libtheora -q:v 8"),
    ("ffv1.mkv", "-c:v ffv1"),
    (
        "dv.dv",
        "-c:v dvvideo -s 720x576 -pix_fmt yuv420p -ar 48000 -ac 2",
    ),
    ("png.mov", "-c:v png"),
    ("svq1.mov", "-c:v svq1"),
    ("gif.gif", "-c:v gif"),
];

/// Files that are refused, with the arguments for them.
const REFUSED: [(&str, &str); 5] = [
    ("sound.mp3", "-map 1"),
    ("sound.m4a", "-map 1 -c:a aac"),
    ("sound.wav", "-map 1"),
    ("raw.h264", "-c:v libx264 -an"),
    ("picture.png", "-frames:v 1 -an"),
];

#[test]
fn makes_the_same_pictures_as_the_dynamic_build() {
    let Some(static_program) = program() else {
        return;
    };
    let folder = clips::scratch();
    let mut compared = 0;

    for (name, arguments) in CORPUS {
        let Some(video) = make(name, arguments) else {
            continue;
        };
        for (at, seek, width) in [
            ("0", "before", "0"),
            ("1.3", "exact", "0"),
            ("99", "exact", "100"),
        ] {
            let variables = [
                ("THUMBNAIL_AT", at),
                ("THUMBNAIL_SEEK", seek),
                ("THUMBNAIL_WIDTH", width),
            ];
            let make = |program: &Path, picture: &str| {
                let output = run(program, folder.path(), &video, picture, &variables);
                (
                    report(&output),
                    std::fs::read(folder.path().join(picture)).unwrap_or_default(),
                )
            };
            let (expected, dynamic_picture) = make(dynamic_program(), "dynamic.png");
            let (actual, static_picture) = make(static_program, "static.png");

            // Both builds have the same assembly, and decoders are exact, so nothing may differ.
            assert_eq!(actual, expected, "{name} at {at}, {seek}");
            assert!(
                static_picture == dynamic_picture,
                "{name} at {at}, {seek}: the pictures differ"
            );
            assert!(
                !static_picture.is_empty(),
                "{name} at {at}, {seek}: {expected}"
            );
            compared += 1;
        }
    }

    assert!(compared > 30, "{compared} comparisons");
}

#[test]
fn refuses_the_same_files_as_the_dynamic_build() {
    let Some(static_program) = program() else {
        return;
    };
    let folder = clips::scratch();
    for (name, arguments) in REFUSED {
        let Some(file) = make(name, arguments) else {
            continue;
        };
        let expected = run(dynamic_program(), folder.path(), &file, "a.png", &[]);
        let actual = run(static_program, folder.path(), &file, "a.png", &[]);

        assert_ne!(expected.status.code(), Some(0), "{name}");
        assert_eq!(report(&actual), report(&expected), "{name}");
        assert_eq!(actual.status.code(), expected.status.code(), "{name}");
    }
}

#[test]
fn needs_no_other_file() {
    let Some(static_program) = program() else {
        return;
    };
    let Some(video) = clips::mp4() else { return };
    let root = clips::scratch();
    std::fs::copy(static_program, root.path().join("thumbnail")).unwrap();
    std::fs::copy(video, root.path().join("video.mp4")).unwrap();
    let in_root = |arguments: &[&str]| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--root"])
            .arg(root.path())
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .output()
    };

    // A host may forbid user namespaces; `unshare` then fails before it executes the program.
    match in_root(&["/thumbnail", "describe"]) {
        Ok(output) if output.status.success() => {}
        other => return skip(&format!("an empty root: {other:?}")),
    }

    let output = in_root(&["/thumbnail", "run", "/video.mp4", "/picture.jpg"]).unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        clips::number(&std::fs::read(root.path().join("picture.jpg")).unwrap()),
        0
    );
}

fn make(name: &str, arguments: &str) -> Option<PathBuf> {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    video(name, &[&["-t", "2"], &arguments[..]].concat())
}

fn run(
    program: &Path,
    folder: &Path,
    video: &Path,
    picture: &str,
    variables: &[(&str, &str)],
) -> Output {
    let _ = std::fs::remove_file(folder.join(picture));
    Command::new(program)
        .arg("run")
        .args([video, Path::new(picture)])
        .current_dir(folder)
        .env_clear()
        .env("THUMBNAIL_ADMIN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// Returns the report without what differs from run to run, or with the number of formats that are probed: until
/// one of them is certain, libav reads more of the file.
fn report(output: &Output) -> Value {
    assert!(!output.stdout.is_empty(), "{output:?}");
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fields = report.as_object_mut().unwrap();
    fields.remove("ms");
    fields.remove("bytes_fetched");
    fields.remove("output");
    report
}

fn dynamic_program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_thumbnail"))
}

/// Builds the static program once; returns `None`, with a message on stderr, if the libraries are missing.
fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();

    PROGRAM.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prepared = Command::new(manifest.join("libav/build"))
        .arg("--cached")
        .output()
        .unwrap();
    if !prepared.status.success() {
        let message = String::from_utf8_lossy(&prepared.stderr);
        skip(&format!("the static build: {}", message.trim()));
        return None;
    }

    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let flags = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        target.to_uppercase().replace('-', "_")
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let variables = String::from_utf8(prepared.stdout).unwrap();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--offline",
            "--locked",
            "--quiet",
            "--target",
            &target,
        ])
        .args(["-p", "thumbnail", "--bin", "thumbnail", "--target-dir"])
        .arg(folder)
        .current_dir(manifest)
        .env_remove("RUSTFLAGS")
        .env(flags, "-Ctarget-feature=+crt-static")
        .envs(variables)
        .output()
        .unwrap();

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(folder.join(target).join("debug/thumbnail"))
}

fn skip(what: &str) {
    // Not `eprintln!`: libtest hides the captured output of passing tests.
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}
