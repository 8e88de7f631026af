//! Films whose frames carry their number, and what ffprobe says about them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Makes a film once; `None`, with a line on stderr, where ffmpeg cannot.
///
/// `arguments` follow the numbered picture and a tone as inputs 0 and 1.
pub(crate) fn film(name: &str, arguments: &[&str]) -> Option<PathBuf> {
    film_of(name, PICTURE, arguments)
}

/// Makes a film of this picture, written as a filter of ffmpeg's without its numbers.
pub(crate) fn film_of(name: &str, picture: &str, arguments: &[&str]) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder().join(recipe(picture, arguments));
    std::fs::create_dir_all(&folder).unwrap();

    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }

    let unfinished = folder.join(format!("unfinished-{}-{name}", std::process::id()));
    let made = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            &numbered(picture),
        ])
        .args(["-f", "lavfi", "-i", "sine=duration=8"])
        .args(arguments)
        .arg(&unfinished)
        .output();

    match made {
        Ok(made) if made.status.success() => std::fs::rename(&unfinished, &path).ok(),
        Ok(made) => {
            let why = String::from_utf8_lossy(&made.stderr).into_owned();
            assert!(
                why.contains("Unknown encoder"),
                "ffmpeg cannot make `{name}`: {why}"
            );

            // Not eprintln: what libtest captures of a passing test is never seen.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {name} needs an encoder of ffmpeg: {why}"
            );
            return None;
        }
        Err(_) => {
            // Not eprintln: what libtest captures of a passing test is never seen.
            let _ = writeln!(std::io::stderr(), "skipped: {name} needs ffmpeg");
            return None;
        }
    };

    Some(path)
}

/// The film that most tests use: H.264 with B-frames and sound, a keyframe every two seconds.
pub(crate) fn mp4() -> Option<PathBuf> {
    film("h264.mp4", &H264)
}

/// Two seconds between keyframes at 25 frames a second, two B-frames between others.
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

/// Films are kept between runs, by what they were made of.
fn recipe(picture: &str, arguments: &[&str]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (numbered(picture), arguments).hash(&mut hasher);
    format!("film-{:016x}", hasher.finish())
}

/// A place for what one test writes.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(folder()).unwrap()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Eight bars over the top quarter: the number of the frame, lowest bit at the left.
fn numbered(picture: &str) -> String {
    let mut filter = format!("{picture},drawbox=x=0:y=0:w=iw:h=ih/4:color=black:t=fill");
    for bit in 0..BITS {
        let bar = format!("x=iw*{bit}/{BITS}:y=0:w=iw/{BITS}:h=ih/4:color=white:t=fill");
        let is_set = format!("gt(mod(floor(n/pow(2,{bit})),2),0)");
        filter.extend([",drawbox=", &bar, ":enable='", &is_set, "'"]);
    }
    filter
}

/// The number that a picture carries.
pub(crate) fn number(picture: &[u8]) -> usize {
    let picture = image::load_from_memory(picture).unwrap().to_luma8();
    let (width, height) = picture.dimensions();
    let is_white =
        |bit: u32| picture.get_pixel(width * (2 * bit + 1) / (2 * BITS), height / 8)[0] > 127;
    (0..BITS)
        .filter(|bit| is_white(*bit))
        .map(|bit| 1 << bit)
        .sum()
}

/// When each frame is shown, from the beginning, as ffprobe says.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) time: f64,
    pub(crate) is_key: bool,
}

/// All frames of a film in the order they are shown.
pub(crate) fn frames(film: &Path) -> Vec<Frame> {
    let start: f64 = probe(film, &["-show_entries", "format=start_time"])
        .trim()
        .parse()
        .unwrap_or(0.0);
    let packets = probe(
        film,
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
            let (shown, decoded) = (fields.next()?, fields.next()?);
            let time: f64 = shown.parse().or_else(|_| decoded.parse()).ok()?;
            Some(Frame {
                time: time - start,
                is_key: fields.next()?.starts_with('K'),
            })
        })
        .collect();

    frames.sort_by(|a, b| a.time.total_cmp(&b.time));
    frames
}

/// The number of the frame that a player shows at a moment.
pub(crate) fn shown_at(frames: &[Frame], moment: f64) -> usize {
    frames
        .iter()
        .rposition(|frame| frame.time <= moment + 1e-6)
        .unwrap_or(0)
}

/// The number of the last keyframe at or before a moment.
pub(crate) fn key_before(frames: &[Frame], moment: f64) -> usize {
    frames
        .iter()
        .rposition(|frame| frame.is_key && frame.time <= moment + 1e-6)
        .unwrap_or(0)
}

fn probe(film: &Path, what: &[&str]) -> String {
    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(what)
        .arg(film)
        .output()
        .unwrap();
    String::from_utf8(probed.stdout).unwrap()
}

const PICTURE: &str = "testsrc2=size=320x180:rate=25:duration=8";
const BITS: u32 = 8;
