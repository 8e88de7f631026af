//! Decodes untrusted data: makes a picture from a source and a request.
//!
//! Nothing here depends on settings, networks or storage. [`picture`] runs in the child of `process/`, and on a
//! thread in programs that use the library.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::encode::encode;
use crate::frame::{Orientation, Pixels};
use crate::libav::{Frame, Media, Stream, scale};
use crate::pick::{PickedFrame, pick};
use crate::process::{self, ProcessLimits};
use crate::{Error, ErrorKind, Fit, Format, Position, RangeSource, Seek};

/// The options of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The position in the video.
    pub at: Position,
    /// How precisely to seek.
    pub seek: Seek,
    /// The maximum size.
    pub fit: Fit,
    /// The image format.
    pub format: Format,
    /// The JPEG quality, 1 to 100.
    pub quality: u8,
    /// The maximum number of pixels in a frame of the video.
    pub max_pixels: u64,
    /// The time by which the picture must be ready.
    pub deadline: Instant,
}

/// An encoded picture.
#[derive(Clone)]
pub struct Picture {
    /// The encoded image.
    pub bytes: Vec<u8>,
    /// The format of `bytes`.
    pub format: Format,
    /// Information on the picture and its source.
    pub info: PictureInfo,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("bytes", &self.bytes.len())
            .field("format", &self.format)
            .field("info", &self.info)
            .finish()
    }
}

/// Information on a picture and its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureInfo {
    /// The presentation time of the frame, in seconds from the start.
    pub pts: f64,
    /// Whether the frame is a keyframe.
    pub keyframe: bool,
    /// Whether the position was past the end, and this is the last frame.
    pub clamped: bool,
    /// The width of the picture, in pixels.
    pub width: u32,
    /// The height of the picture, in pixels.
    pub height: u32,
    /// The stored width of the video's frames, in pixels.
    pub source_width: u32,
    /// The stored height of the video's frames, in pixels.
    pub source_height: u32,
    /// The rotation that was applied, clockwise, in degrees.
    pub rotation: u32,
    /// The name of the container in libav.
    pub container: String,
    /// The name of the codec in libav.
    pub codec: String,
    /// The duration of each stage.
    #[serde(skip)]
    pub stages: StageTimings,
}

/// The durations of the stages, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct StageTimings {
    /// Reading the container's headers.
    pub open: f64,
    /// Selecting and decoding the frame.
    pub pick: f64,
    /// Scaling, converting to RGB and rotating.
    pub scale: f64,
    /// Encoding as JPEG or PNG.
    pub encode: f64,
}

/// Makes a picture on the current thread.
pub fn picture(source: Box<dyn RangeSource>, request: &Request) -> Result<Picture, Error> {
    let mut span = None;
    picture_in_stages(source, request, &mut |stage| {
        // The previous span ends before the next one begins.
        drop(span.take());
        span = Some(stage_span(stage).entered());
    })
}

/// Makes a picture and reports each of the [`STAGES`] when it begins.
pub(crate) fn picture_in_stages(
    source: Box<dyn RangeSource>,
    request: &Request,
    on_stage: &mut dyn FnMut(&'static str),
) -> Result<Picture, Error> {
    if source.size() == 0 {
        return Err(Error::new(ErrorKind::Empty, "the video is empty"));
    }

    let [open, pick_stage, scale_stage, encode_stage] = STAGES;
    let mut stages = StageTimings::default();

    on_stage(open);
    let mut media = measure(&mut stages.open, || open_media(source, request.deadline))?;

    on_stage(pick_stage);
    let PickedFrame {
        frame,
        stream,
        time,
        clamped,
    } = measure(&mut stages.pick, || {
        pick(&mut media, request.at, request.seek, request.max_pixels)
    })?;

    let orientation = stream
        .matrix
        .as_ref()
        .map_or_else(Orientation::default, Orientation::from_matrix);
    on_stage(scale_stage);
    let pixels = measure(&mut stages.scale, || {
        scale_to_fit(&frame, &stream, orientation, request.fit)
    })?;

    on_stage(encode_stage);
    let bytes = measure(&mut stages.encode, || {
        encode(&pixels, request.format, request.quality)
    })?;

    let info = PictureInfo {
        pts: time as f64 / 1e6,
        keyframe: frame.is_key(),
        clamped,
        width: pixels.width,
        height: pixels.height,
        source_width: frame.size().0,
        source_height: frame.size().1,
        rotation: orientation.degrees(),
        container: media.container(),
        codec: stream.codec_name(),
        stages,
    };

    Ok(Picture {
        bytes,
        format: request.format,
        info,
    })
}

/// Makes a picture in a child if there is one, else on a thread; drops `guard` when either has ended.
///
/// The caller gets a result at the deadline. A thread may run longer, since it checks the time only when it reads; a
/// child is ended.
pub(crate) async fn picture_in_background<G: Send + 'static>(
    source: Box<dyn RangeSource>,
    request: Request,
    limits: ProcessLimits,
    guard: G,
) -> Result<Picture, Error> {
    let (sender, receiver) = oneshot::channel();
    let span = tracing::Span::current();
    let work = move || {
        let result = span.in_scope(|| {
            if process::is_available() {
                process::picture(source, &request, limits)
            } else {
                picture(source, &request)
            }
        });
        drop(span);
        drop(guard);
        // Fails if the caller stopped waiting at the deadline.
        let _ = sender.send(result);
    };

    std::thread::Builder::new()
        .name("picture".to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|error| {
            Error::new(ErrorKind::WorkerLost, "cannot start a thread").with_source(error)
        })?;

    match tokio::time::timeout_at((request.deadline + GRACE).into(), receiver).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::new(
            ErrorKind::WorkerLost,
            "the decoder ended without a result",
        )),
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            "timed out making the picture",
        )),
    }
}

/// Opens the video; an error names a playlist or another kind of file that is not a video.
fn open_media(mut source: Box<dyn RangeSource>, deadline: Instant) -> Result<Media, Error> {
    let head = head(&mut *source)?;
    Media::open(source, deadline).map_err(|error| explain_open_error(error, &head))
}

/// Scales a frame to the requested size, converts it to RGB and rotates it.
fn scale_to_fit(
    frame: &Frame,
    stream: &Stream,
    orientation: Orientation,
    fit: Fit,
) -> Result<Pixels, Error> {
    // The frame's own ratio is more reliable than the one of the container.
    let aspect = frame.pixel_aspect().or(stream.pixel_aspect);
    let (width, height) = fit.size(frame.size(), aspect, orientation);
    Ok(orientation.apply(scale(frame, width, height)?))
}

fn measure<T>(milliseconds: &mut f64, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let start = Instant::now();
    let result = work();
    *milliseconds = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    result
}

/// Creates the span of a stage.
pub(crate) fn stage_span(stage: &'static str) -> tracing::Span {
    tracing::info_span!("stage", otel.name = stage)
}

/// Reads the first bytes of the video.
fn head(source: &mut dyn RangeSource) -> Result<Vec<u8>, Error> {
    let mut head = vec![0; 64];
    let read = source.read_at(0, &mut head)?;
    head.truncate(read);
    Ok(head)
}

/// Refines the error of a file that could not be opened, by its first bytes.
fn explain_open_error(error: Error, head: &[u8]) -> Error {
    if error.kind() != ErrorKind::NotMedia {
        return error;
    }

    let text = head.trim_ascii_start();
    if [&b"#EXTM3U"[..], b"ffconcat", b"<MPD", b"[playlist]"]
        .iter()
        .any(|magic| text.starts_with(magic))
    {
        let message = "the file is a playlist; use the video itself";
        return Error::new(ErrorKind::NotMedia, message);
    }

    // The name of the first box follows its four-byte size (ISO/IEC 14496-12).
    let is_mp4 = head
        .get(4..8)
        .is_some_and(|name| [&b"ftyp"[..], b"moov", b"mdat", b"wide"].contains(&name));
    let is_known = is_mp4
        || [
            // Matroska (EBML), AVI, FLV, Ogg, ASF.
            &b"\x1a\x45\xdf\xa3"[..],
            b"RIFF",
            b"FLV\x01",
            b"OggS",
            b"\x30\x26\xb2\x75",
        ]
        .iter()
        .any(|magic| head.starts_with(magic));

    if is_known {
        return Error::new(
            ErrorKind::Damaged,
            "the headers of the video are damaged or missing",
        )
        .with_source(error.chain());
    }

    error
}

/// The names of the stages, in their order.
pub(crate) const STAGES: [&str; 4] = ["open", "pick", "scale", "encode"];
/// The time after the deadline to wait for the thread's own error, which is more precise.
const GRACE: Duration = Duration::from_millis(250);
/// The stack size of the thread: decoders keep large tables on the stack.
const STACK: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemorySource;

    const LIMITS: ProcessLimits = ProcessLimits {
        max_memory_bytes: 1 << 28,
    };

    fn request() -> Request {
        Request {
            at: Position::After(0),
            seek: Seek::Before,
            fit: Fit {
                width: 0,
                height: 0,
            },
            format: Format::Png,
            quality: 85,
            max_pixels: 1 << 20,
            deadline: Instant::now() + Duration::from_secs(20),
        }
    }

    fn kind_of(bytes: &'static [u8]) -> ErrorKind {
        picture(Box::new(MemorySource::new(bytes)), &request())
            .unwrap_err()
            .kind()
    }

    #[test]
    fn distinguishes_the_kinds_of_invalid_files() {
        assert_eq!(kind_of(b""), ErrorKind::Empty);
        assert_eq!(
            kind_of(b"<html><body>not a video</body></html>"),
            ErrorKind::NotMedia
        );
        assert_eq!(
            // Formats that can refer to other files must not be opened.
            kind_of(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n"),
            ErrorKind::NotMedia
        );

        assert_eq!(
            kind_of(b"ffconcat version 1.0\nfile /etc/passwd\n"),
            ErrorKind::NotMedia
        );

        assert_eq!(
            kind_of(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08free"),
            ErrorKind::Damaged
        );
    }

    #[tokio::test]
    async fn reports_a_panic_as_worker_lost() {
        struct Broken;

        impl RangeSource for Broken {
            fn size(&self) -> u64 {
                10
            }
            fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, Error> {
                panic!("test panic")
            }
        }

        let error = picture_in_background(Box::new(Broken), request(), LIMITS, ())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WorkerLost);
    }

    #[tokio::test]
    async fn returns_at_the_deadline_when_a_source_hangs() {
        struct Hanging(std::sync::mpsc::Receiver<()>);

        impl RangeSource for Hanging {
            fn size(&self) -> u64 {
                10
            }
            fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, Error> {
                self.0.recv().ok();
                Ok(0)
            }
        }

        let (end, ended) = std::sync::mpsc::channel();
        let request = Request {
            deadline: Instant::now(),
            ..request()
        };
        let error = picture_in_background(Box::new(Hanging(ended)), request, LIMITS, ())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Timeout);
        // Ends the thread, which still waits in `read_at`.
        drop(end);
    }
}
