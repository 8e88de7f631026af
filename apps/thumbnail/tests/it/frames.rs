//! Tests frame selection, orientation and colours for all supported containers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thumbnail::{Error, ErrorKind, FileSource, Fit, Format, Picture, Request, Seek, picture};

use crate::clips::{self, H264, video, video_from};

fn request(at: &str, seek: Seek) -> Request {
    Request {
        at: at.parse().unwrap(),
        seek,
        fit: Fit {
            width: 0,
            height: 0,
        },
        format: Format::Png,
        quality: 85,
        max_pixels: 8192 * 8192,
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

fn take(video: &Path, at: &str, seek: Seek) -> Result<Picture, Error> {
    picture(
        Box::new(FileSource::open(video, Arc::default())?),
        &request(at, seek),
    )
}

/// Asserts that several positions give the frames that ffprobe's timestamps imply.
fn assert_frames(video: Option<std::path::PathBuf>) {
    let Some(video) = video else { return };
    let frames = clips::frames(&video);
    // 8 s at 25 frames per second are 200; a broken probe would find none.
    assert!(frames.len() > 150, "ffprobe finds {} frames", frames.len());

    for at in ["0", "0.5", "1.99", "2.01", "5.03", "7.32", "7.9"] {
        let time: f64 = at.parse().unwrap();
        let exact = take(&video, at, Seek::Exact).unwrap();
        let expected = clips::frame_at(&frames, time);
        assert_eq!(
            clips::number(&exact.bytes),
            expected,
            "{} at {at}, exact",
            video.display()
        );

        // Matroska has millisecond timestamps, so frame times are only that exact.
        let off = (exact.info.pts - frames[expected].time).abs();
        assert!(off < 0.002, "{} at {at}: {off} s off", video.display());

        let before = take(&video, at, Seek::Before).unwrap();
        let expected = clips::keyframe_before(&frames, time);
        assert_eq!(
            clips::number(&before.bytes),
            expected,
            "{} at {at}, before",
            video.display()
        );

        assert!(before.info.keyframe);
        assert!(
            !exact.info.clamped && !before.info.clamped,
            "{} at {at}",
            video.display()
        );
    }

    // Past the end even `before` decodes the last frame, not the last keyframe.
    let last = take(&video, "99", Seek::Before).unwrap();
    assert_eq!(
        clips::number(&last.bytes),
        frames.len() - 1,
        "{} past its end",
        video.display()
    );

    assert!(last.info.clamped);
    let last = take(&video, "100%", Seek::Exact).unwrap();
    assert_eq!(
        clips::number(&last.bytes),
        frames.len() - 1,
        "{} at its end",
        video.display()
    );
}

#[test]
fn selects_frames_in_mp4() {
    assert_frames(clips::mp4());
}

#[test]
fn selects_frames_in_fragmented_mp4() {
    let fragmented = [&H264[..], &["-movflags", "frag_keyframe+empty_moov"]].concat();
    assert_frames(video("fragmented.mp4", &fragmented));
}

#[test]
fn selects_frames_in_matroska() {
    assert_frames(video("h264.mkv", &H264));
}

#[test]
fn selects_frames_in_matroska_without_a_duration_or_index() {
    assert_frames(video(
        "live.mkv",
        &[&H264[..], &["-f", "matroska", "-live", "1"]].concat(),
    ));
}

#[test]
fn selects_frames_in_a_transport_stream() {
    assert_frames(video("h264.ts", &H264));
}

#[test]
fn selects_frames_in_flv() {
    assert_frames(video("h264.flv", &[&H264[..], &["-ar", "44100"]].concat()));
}

#[test]
fn selects_frames_in_vp9() {
    let vp9 = [
        "-map",
        "0",
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-g",
        "50",
    ];
    assert_frames(video("vp9.webm", &vp9));
}

#[test]
fn selects_frames_in_mpeg_4_in_avi() {
    assert_frames(video(
        "mpeg4.avi",
        &["-map", "0", "-c:v", "mpeg4", "-q:v", "3", "-g", "50"],
    ));
}

#[test]
fn selects_frames_in_mpeg_2_in_a_program_stream() {
    assert_frames(video(
        "mpeg2.mpg",
        &[
            "-map",
            "0",
            "-c:v",
            "mpeg2video",
            "-q:v",
            "3",
            "-g",
            "15",
            "-bf",
            "2",
        ],
    ));
}

#[test]
fn selects_frames_in_hevc() {
    let hevc = [
        "-map",
        "0",
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "keyint=50:min-keyint=50:scenecut=0:log-level=none",
        "-pix_fmt",
        "yuv420p",
        "-tag:v",
        "hvc1",
    ];
    assert_frames(video("hevc.mp4", &hevc));
}

#[test]
fn selects_frames_at_a_fractional_frame_rate() {
    let picture = "testsrc2=size=160x120:rate=30000/1001:duration=8";
    assert_frames(video_from("ntsc.mp4", picture, &H264));
}

#[test]
fn selects_frames_when_every_frame_is_a_keyframe() {
    let prores = [
        "-map", "0", "-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p",
    ];
    assert_frames(video("mjpeg.mov", &prores));
}

#[test]
fn decodes_common_codecs() {
    for (name, arguments) in [
        (
            "ten-bit.mp4",
            &[
                "-c:v",
                "libx265",
                "-x265-params",
                "log-level=none",
                "-pix_fmt",
                "yuv420p10le",
            ][..],
        ),
        ("prores.mov", &["-c:v", "prores"]),
        ("vp8.webm", &["-c:v", "libvpx", "-deadline", "realtime"]),
        ("av1.mp4", &["-c:v", "libsvtav1", "-preset", "12"]),
        ("wmv2.asf", &["-c:v", "wmv2", "-q:v", "3"]),
        ("theora.ogg", &["-c:v", "libtheora", "-q:v", "8"]),
        ("lossless.mkv", &["-c:v", "ffv1"]),
        ("animation.gif", &["-c:v", "gif"]),
    ] {
        let arguments = [&["-map", "0"], arguments].concat();
        let picture = "testsrc2=size=320x180:rate=25:duration=1";
        let Some(video) = video_from(name, picture, &arguments) else {
            continue;
        };
        let exact = take(&video, "0.5", Seek::Exact).unwrap();

        assert_eq!(clips::number(&exact.bytes), 12, "{name}");
        let first = take(&video, "0", Seek::Before).unwrap();
        assert_eq!(clips::number(&first.bytes), 0, "{name}");
    }
}

#[test]
fn selects_the_last_frame_of_a_truncated_video() {
    let Some(whole) = video(
        "front.mp4",
        &[&H264[..], &["-movflags", "+faststart"]].concat(),
    ) else {
        return;
    };

    let bytes = std::fs::read(whole).unwrap();
    let folder = clips::scratch();
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();

    for seek in [Seek::Before, Seek::Exact] {
        let picture = take(&cut, "7.5", seek).unwrap();
        assert!(picture.info.clamped);
        assert!((2.0..6.0).contains(&picture.info.pts), "{:?}", picture.info);
        assert_eq!(
            clips::number(&picture.bytes),
            (picture.info.pts * 25.0).round() as usize
        );
    }

    // Truncated within the headers, it is another kind of error.
    std::fs::write(&cut, &bytes[..2000]).unwrap();
    assert_eq!(
        take(&cut, "1", Seek::Before).unwrap_err().kind(),
        ErrorKind::Damaged
    );
}

#[test]
fn rotates_a_video_upright() {
    let Some(video) = clips::mp4() else { return };
    let folder = clips::scratch();
    let rotated = folder.path().join("turned.mp4");
    let status = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&video)
        .args(["-c", "copy", "-metadata:s:v", "rotate=90"])
        .arg(&rotated)
        .status()
        .unwrap();

    assert!(status.success());
    let upright = take(&video, "4", Seek::Before).unwrap();
    let picture = take(&rotated, "4", Seek::Before).unwrap();
    assert_eq!((picture.info.width, picture.info.height), (180, 320));
    assert!([90, 270].contains(&picture.info.rotation));

    // ffmpeg applies the same matrix by default, so its picture is the reference.
    let oracle = folder.path().join("oracle.png");
    let status = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-ss", "4", "-i"])
        .arg(&rotated)
        .args(["-frames:v", "1"])
        .arg(&oracle)
        .status()
        .unwrap();

    assert!(status.success());
    let oracle = image::open(oracle).unwrap().to_rgb8();
    let ours = image::load_from_memory(&picture.bytes).unwrap().to_rgb8();
    assert!(
        // Scalers and chroma upsampling differ slightly between the two.
        difference(&ours, &oracle) < 4.0,
        "{}",
        difference(&ours, &oracle)
    );
    let not_rotated = image::load_from_memory(&upright.bytes).unwrap().to_rgb8();
    assert_ne!(not_rotated.dimensions(), ours.dimensions());
}

#[test]
fn uses_the_colour_matrix_of_the_video() {
    for (name, size, matrix) in [
        ("sd.mp4", "320x180", "smpte170m"),
        ("hd.mp4", "320x180", "bt709"),
    ] {
        let picture = format!("color=c=0xC04020:size={size}:rate=25:duration=1");
        let scale = format!("scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p");
        let arguments = [
            "-map",
            "0",
            "-vf",
            &scale,
            "-colorspace",
            matrix,
            "-c:v",
            "libx264",
            "-crf",
            "5",
        ];

        let Some(video) = video_from(name, &picture, &arguments) else {
            return;
        };
        let picture = take(&video, "0", Seek::Before).unwrap();
        let picture = image::load_from_memory(&picture.bytes).unwrap().to_rgb8();
        let pixel = picture.get_pixel(160, 120).0;

        for (ours, drawn) in pixel.into_iter().zip([0xC0, 0x40, 0x20]) {
            assert!(ours.abs_diff(drawn) <= 4, "{name}: {pixel:?}");
        }
    }
}

#[test]
fn handles_odd_sizes_and_non_square_pixels() {
    let picture = "testsrc2=size=322x182:rate=25:duration=1";
    let odd = [
        "-map",
        "0",
        "-vf",
        "crop=321:181:0:0:exact=1",
        "-pix_fmt",
        "yuv444p",
        "-c:v",
        "libx264",
    ];

    if let Some(video) = video_from("odd.mkv", picture, &odd) {
        let picture = take(&video, "0", Seek::Before).unwrap();
        assert_eq!((picture.info.width, picture.info.height), (321, 181));
    }

    let wide = [
        "-map",
        "0",
        "-vf",
        "setsar=2/1",
        "-c:v",
        "mpeg4",
        "-q:v",
        "3",
    ];

    if let Some(video) = video_from(
        "wide.mp4",
        "testsrc2=size=320x180:rate=25:duration=1",
        &wide,
    ) {
        let picture = take(&video, "0", Seek::Before).unwrap();
        assert_eq!((picture.info.width, picture.info.height), (320, 90));
    }
}

#[test]
fn rejects_a_video_with_too_many_pixels() {
    let Some(video) = clips::mp4() else { return };
    let source = Box::new(FileSource::open(&video, Arc::default()).unwrap());
    let request = Request {
        max_pixels: 320 * 180 - 1,
        ..request("0", Seek::Before)
    };
    assert_eq!(
        picture(source, &request).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn rejects_a_file_with_sound_only() {
    let Some(video) = video("sound.m4a", &["-map", "1", "-c:a", "aac"]) else {
        return;
    };
    assert_eq!(
        take(&video, "0", Seek::Before).unwrap_err().kind(),
        ErrorKind::NoVideo
    );
}

#[test]
fn times_out_after_the_deadline() {
    let Some(video) = clips::mp4() else { return };
    let source = Box::new(FileSource::open(&video, Arc::default()).unwrap());
    let request = Request {
        deadline: Instant::now(),
        ..request("0", Seek::Before)
    };
    assert_eq!(
        picture(source, &request).unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

/// Changes bytes at pseudo-random offsets; every result must be a picture or an error.
#[test]
fn damaged_videos_give_a_picture_or_an_error() {
    let Some(video) = clips::mp4() else { return };
    let whole = std::fs::read(video).unwrap();
    let mut state = 1u64;

    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..20 {
            // A linear congruential generator (Knuth's MMIX), so that failures are reproducible.
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] ^= (state >> 20) as u8 | 1;
        }

        let source = Box::new(thumbnail::MemorySource::new(bytes));
        match picture(source, &request("3", Seek::Exact)) {
            Ok(picture) => assert!(!picture.bytes.is_empty()),
            Err(error) => assert_ne!(error.kind(), ErrorKind::WorkerLost, "{}", error.chain()),
        }
    }
}

/// Returns the mean difference of two pictures, on a scale of 255.
fn difference(a: &image::RgbImage, b: &image::RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}
