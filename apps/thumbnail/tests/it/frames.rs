//! The right frame, the right way up, from every container.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thumbnail::{Error, FileSource, Fit, Format, Kind, Picture, Request, Seek, picture};

use crate::clips::{self, H264, film, film_of};

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

fn take(film: &Path, at: &str, seek: Seek) -> Result<Picture, Error> {
    picture(
        Box::new(FileSource::open(film, Arc::default())?),
        &request(at, seek),
    )
}

/// Every moment of the list gives the frames that ffprobe's times say.
fn is_right(film: Option<std::path::PathBuf>) {
    let Some(film) = film else { return };
    let frames = clips::frames(&film);
    assert!(frames.len() > 150, "ffprobe finds {} frames", frames.len());

    for at in ["0", "0.5", "1.99", "2.01", "5.03", "7.32", "7.9"] {
        let moment: f64 = at.parse().unwrap();
        let exact = take(&film, at, Seek::Exact).unwrap();
        let expected = clips::shown_at(&frames, moment);
        assert_eq!(
            clips::number(&exact.bytes),
            expected,
            "{} at {at}, exact",
            film.display()
        );

        let off = (exact.facts.pts - frames[expected].time).abs();
        assert!(off < 0.002, "{} at {at}: {off} s off", film.display());

        let before = take(&film, at, Seek::Before).unwrap();
        let expected = clips::key_before(&frames, moment);
        assert_eq!(
            clips::number(&before.bytes),
            expected,
            "{} at {at}, before",
            film.display()
        );

        assert!(before.facts.keyframe);
        assert!(
            !exact.facts.clamped && !before.facts.clamped,
            "{} at {at}",
            film.display()
        );
    }

    let last = take(&film, "99", Seek::Before).unwrap();
    assert_eq!(
        clips::number(&last.bytes),
        frames.len() - 1,
        "{} past its end",
        film.display()
    );

    assert!(last.facts.clamped);
    let last = take(&film, "100%", Seek::Exact).unwrap();
    assert_eq!(
        clips::number(&last.bytes),
        frames.len() - 1,
        "{} at its end",
        film.display()
    );
}

#[test]
fn the_frame_is_right_in_mp4() {
    is_right(clips::mp4());
}

#[test]
fn the_frame_is_right_in_fragmented_mp4() {
    let fragmented = [&H264[..], &["-movflags", "frag_keyframe+empty_moov"]].concat();
    is_right(film("fragmented.mp4", &fragmented));
}

#[test]
fn the_frame_is_right_in_matroska() {
    is_right(film("h264.mkv", &H264));
}

#[test]
fn the_frame_is_right_in_matroska_without_a_length_or_an_index() {
    is_right(film(
        "live.mkv",
        &[&H264[..], &["-f", "matroska", "-live", "1"]].concat(),
    ));
}

#[test]
fn the_frame_is_right_in_a_transport_stream() {
    is_right(film("h264.ts", &H264));
}

#[test]
fn the_frame_is_right_in_flv() {
    is_right(film("h264.flv", &[&H264[..], &["-ar", "44100"]].concat()));
}

#[test]
fn the_frame_is_right_in_vp9() {
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
    is_right(film("vp9.webm", &vp9));
}

#[test]
fn the_frame_is_right_in_mpeg_4_in_avi() {
    is_right(film(
        "mpeg4.avi",
        &["-map", "0", "-c:v", "mpeg4", "-q:v", "3", "-g", "50"],
    ));
}

#[test]
fn the_frame_is_right_in_mpeg_2_in_a_programme_stream() {
    is_right(film(
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
fn the_frame_is_right_in_hevc() {
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
    is_right(film("hevc.mp4", &hevc));
}

#[test]
fn the_frame_is_right_at_a_rate_that_is_no_whole_number() {
    let picture = "testsrc2=size=160x120:rate=30000/1001:duration=8";
    is_right(film_of("ntsc.mp4", picture, &H264));
}

#[test]
fn the_frame_is_right_when_every_frame_is_a_keyframe() {
    let prores = [
        "-map", "0", "-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p",
    ];
    is_right(film("mjpeg.mov", &prores));
}

#[test]
fn the_codecs_of_films_people_have_are_decoded() {
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
        let Some(film) = film_of(name, picture, &arguments) else {
            continue;
        };
        let shown = take(&film, "0.5", Seek::Exact).unwrap();

        assert_eq!(clips::number(&shown.bytes), 12, "{name}");
        let first = take(&film, "0", Seek::Before).unwrap();
        assert_eq!(clips::number(&first.bytes), 0, "{name}");
    }
}

#[test]
fn a_cut_off_film_gives_the_last_frame_there_is() {
    let Some(whole) = film(
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
        assert!(picture.facts.clamped);
        assert!(
            (2.0..6.0).contains(&picture.facts.pts),
            "{:?}",
            picture.facts
        );
        assert_eq!(
            clips::number(&picture.bytes),
            (picture.facts.pts * 25.0).round() as usize
        );
    }

    // A cut within the headers is another class.
    std::fs::write(&cut, &bytes[..2000]).unwrap();
    assert_eq!(
        take(&cut, "1", Seek::Before).unwrap_err().kind(),
        Kind::Damaged
    );
}

#[test]
fn a_turned_film_is_turned_upright() {
    let Some(film) = clips::mp4() else { return };
    let folder = clips::scratch();
    let turned = folder.path().join("turned.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&film)
        .args(["-c", "copy", "-metadata:s:v", "rotate=90"])
        .arg(&turned)
        .status()
        .unwrap();

    assert!(made.success());
    let upright = take(&film, "4", Seek::Before).unwrap();
    let picture = take(&turned, "4", Seek::Before).unwrap();
    assert_eq!((picture.facts.width, picture.facts.height), (180, 320));
    assert!([90, 270].contains(&picture.facts.rotation));

    // ffmpeg turns the film by the same matrix: its picture is the oracle.
    let oracle = folder.path().join("oracle.png");
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-ss", "4", "-i"])
        .arg(&turned)
        .args(["-frames:v", "1"])
        .arg(&oracle)
        .status()
        .unwrap();

    assert!(made.success());
    let oracle = image::open(oracle).unwrap().to_rgb8();
    let ours = image::load_from_memory(&picture.bytes).unwrap().to_rgb8();
    assert!(
        difference(&ours, &oracle) < 4.0,
        "{}",
        difference(&ours, &oracle)
    );
    let not_turned = image::load_from_memory(&upright.bytes).unwrap().to_rgb8();
    assert_ne!(not_turned.dimensions(), ours.dimensions());
}

#[test]
fn colours_are_those_of_the_film() {
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

        let Some(film) = film_of(name, &picture, &arguments) else {
            return;
        };
        let picture = take(&film, "0", Seek::Before).unwrap();
        let picture = image::load_from_memory(&picture.bytes).unwrap().to_rgb8();
        let pixel = picture.get_pixel(160, 120).0;

        for (ours, drawn) in pixel.into_iter().zip([0xC0, 0x40, 0x20]) {
            assert!(ours.abs_diff(drawn) <= 4, "{name}: {pixel:?}");
        }
    }
}

#[test]
fn odd_sizes_and_pixels_that_are_not_square_are_shown_right() {
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

    if let Some(film) = film_of("odd.mkv", picture, &odd) {
        let picture = take(&film, "0", Seek::Before).unwrap();
        assert_eq!((picture.facts.width, picture.facts.height), (321, 181));
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

    if let Some(film) = film_of(
        "wide.mp4",
        "testsrc2=size=320x180:rate=25:duration=1",
        &wide,
    ) {
        let picture = take(&film, "0", Seek::Before).unwrap();
        assert_eq!((picture.facts.width, picture.facts.height), (320, 90));
    }
}

#[test]
fn a_film_of_too_many_pixels_is_refused() {
    let Some(film) = clips::mp4() else { return };
    let source = Box::new(FileSource::open(&film, Arc::default()).unwrap());
    let request = Request {
        max_pixels: 320 * 180 - 1,
        ..request("0", Seek::Before)
    };
    assert_eq!(
        picture(source, &request).unwrap_err().kind(),
        Kind::Unsupported
    );
}

#[test]
fn sound_alone_is_no_video() {
    let Some(film) = film("sound.m4a", &["-map", "1", "-c:a", "aac"]) else {
        return;
    };
    assert_eq!(
        take(&film, "0", Seek::Before).unwrap_err().kind(),
        Kind::NoVideo
    );
}

#[test]
fn a_deadline_that_is_over_is_a_timeout() {
    let Some(film) = clips::mp4() else { return };
    let source = Box::new(FileSource::open(&film, Arc::default()).unwrap());
    let request = Request {
        deadline: Instant::now(),
        ..request("0", Seek::Before)
    };
    assert_eq!(picture(source, &request).unwrap_err().kind(), Kind::Timeout);
}

/// Bytes are changed at places that a fixed rule picks: no answer may be anything but an answer.
#[test]
fn damaged_films_end_in_a_picture_or_a_class() {
    let Some(film) = clips::mp4() else { return };
    let whole = std::fs::read(film).unwrap();
    let mut state = 1u64;

    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..20 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] ^= (state >> 20) as u8 | 1;
        }

        let source = Box::new(thumbnail::MemorySource::new(bytes));
        match picture(source, &request("3", Seek::Exact)) {
            Ok(picture) => assert!(!picture.bytes.is_empty()),
            Err(error) => assert_ne!(error.kind(), Kind::WorkerLost, "{}", error.chain()),
        }
    }
}

/// The mean difference of two pictures, of 255.
fn difference(a: &image::RgbImage, b: &image::RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}
