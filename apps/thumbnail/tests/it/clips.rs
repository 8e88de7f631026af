//! Generates videos with numbered frames, and reads their timestamps with ffprobe.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Generates a video once; returns `None`, with a message on stderr, if ffmpeg cannot.
///
/// `arguments` follow the inputs: 0 is the numbered picture, 1 is a tone.
pub(crate) fn video(name: &str, arguments: &[&str]) -> Option<PathBuf> {
    video_from(name, PICTURE, arguments)
}

/// Generates a video of a picture, given as an ffmpeg filter without frame numbers.
pub(crate) fn video_from(name: &str, picture: &str, arguments: &[&str]) -> Option<PathBuf> {
    // Encoders use all cores, so that parallel runs would only take longer.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder().join(recipe(picture, arguments));
    std::fs::create_dir_all(&folder).unwrap();

    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }

    // Renamed when it is complete: another test process may generate the same video.
    let unfinished = folder.join(format!("unfinished-{}-{name}", std::process::id()));
    let output = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            &with_frame_numbers(picture),
        ])
        .args(["-f", "lavfi", "-i", "sine=duration=8"])
        .args(arguments)
        .arg(&unfinished)
        .output();

    match output {
        Ok(output) if output.status.success() => std::fs::rename(&unfinished, &path).ok(),
        Ok(output) => {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                message.contains("Unknown encoder"),
                "ffmpeg cannot make `{name}`: {message}"
            );

            // Not `eprintln!`: libtest hides the captured output of passing tests.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {name} needs an encoder of ffmpeg: {message}"
            );
            return None;
        }
        Err(_) => {
            // Not `eprintln!`: libtest hides the captured output of passing tests.
            let _ = writeln!(std::io::stderr(), "skipped: {name} needs ffmpeg");
            return None;
        }
    };

    Some(path)
}

/// Returns the default video: H.264 with B-frames and sound, a keyframe every two seconds.
pub(crate) fn mp4() -> Option<PathBuf> {
    video("h264.mp4", &H264)
}

/// A keyframe every two seconds at 25 frames per second, with two B-frames.
pub(crate) const H264: [&str; 16] = [
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-g",
    "50",
    "-bf",
    "2",
    "-x264-params",
    "scenecut=0:b-adapt=0",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-t",
    "8",
];

/// Names the folder of a video by a hash of its recipe, to cache videos between runs.
fn recipe(picture: &str, arguments: &[&str]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (with_frame_numbers(picture), arguments).hash(&mut hasher);
    format!("video-{:016x}", hasher.finish())
}

/// Returns a temporary folder for a test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(folder()).unwrap()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Adds eight bars over the top quarter: the frame number, lowest bit on the left.
fn with_frame_numbers(picture: &str) -> String {
    let mut filter = format!("{picture},drawbox=x=0:y=0:w=iw:h=ih/4:color=black:t=fill");
    for bit in 0..BITS {
        let bar = format!("x=iw*{bit}/{BITS}:y=0:w=iw/{BITS}:h=ih/4:color=white:t=fill");
        let is_set = format!("gt(mod(floor(n/pow(2,{bit})),2),0)");
        filter.extend([",drawbox=", &bar, ":enable='", &is_set, "'"]);
    }
    filter
}

/// Reads the frame number from a picture.
pub(crate) fn number(picture: &[u8]) -> usize {
    let picture = image::load_from_memory(picture).unwrap().to_luma8();
    let (width, height) = picture.dimensions();
    // Sampled in the middle of each bar, so that scaling and compression do not matter.
    let is_white =
        |bit: u32| picture.get_pixel(width * (2 * bit + 1) / (2 * BITS), height / 8)[0] > 127;
    (0..BITS)
        .filter(|bit| is_white(*bit))
        .map(|bit| 1 << bit)
        .sum()
}

/// A frame, as reported by ffprobe; the time is in seconds from the start.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) time: f64,
    pub(crate) is_key: bool,
}

/// Returns all frames of a video in presentation order.
pub(crate) fn frames(video: &Path) -> Vec<Frame> {
    let start: f64 = probe(video, &["-show_entries", "format=start_time"])
        .trim()
        .parse()
        .unwrap_or(0.0);
    let packets = probe(
        video,
        &[
            "-select_streams",
            "v:0",
            "-show_entries",
            "packet=pts_time,dts_time,flags",
        ],
    );

    let mut frames: Vec<Frame> = packets
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let (pts, dts) = (fields.next()?, fields.next()?);
            let time: f64 = pts.parse().or_else(|_| dts.parse()).ok()?;
            Some(Frame {
                time: time - start,
                is_key: fields.next()?.starts_with('K'),
            })
        })
        .collect();

    frames.sort_by(|a, b| a.time.total_cmp(&b.time));
    frames
}

/// Returns the number of the frame that a player shows at a time.
pub(crate) fn frame_at(frames: &[Frame], time: f64) -> usize {
    frames
        .iter()
        .rposition(|frame| frame.time <= time + 1e-6)
        .unwrap_or(0)
}

/// Returns the number of the last keyframe at or before a time.
pub(crate) fn keyframe_before(frames: &[Frame], time: f64) -> usize {
    frames
        .iter()
        .rposition(|frame| frame.is_key && frame.time <= time + 1e-6)
        .unwrap_or(0)
}

fn probe(video: &Path, what: &[&str]) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(what)
        .arg(video)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

const PICTURE: &str = "testsrc2=size=320x180:rate=25:duration=8";
const BITS: u32 = 8;
