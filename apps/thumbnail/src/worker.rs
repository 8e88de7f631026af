//! Where untrusted bytes are decoded: a function of a source and a request, and the thread it runs on.
//!
//! Nothing here knows of settings, networks or stores. So this is where a process of its own can
//! be put between the two halves without either of them changing.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::oneshot;

use crate::encode::encode;
use crate::frame::Orientation;
use crate::libav::{Media, scale};
use crate::pick::{Pick, pick};
use crate::{Error, Fit, Format, Kind, Position, RangeSource, Seek};

/// What picture is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The moment it is of.
    pub at: Position,
    /// How close to the moment it must be.
    pub seek: Seek,
    /// The box it must fit in.
    pub fit: Fit,
    /// How it is written.
    pub format: Format,
    /// The quality of a JPEG, 1 to 100.
    pub quality: u8,
    /// The most pixels a frame of the video may have.
    pub max_pixels: u64,
    /// When it must be ready.
    pub deadline: Instant,
}

/// A picture, ready to be stored.
#[derive(Clone)]
pub struct Picture {
    /// The picture as a JPEG or PNG.
    pub bytes: Vec<u8>,
    /// Which of the two.
    pub format: Format,
    /// What is known about it.
    pub facts: Facts,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("bytes", &self.bytes.len())
            .field("format", &self.format)
            .field("facts", &self.facts)
            .finish()
    }
}

/// What is known about a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// When its frame is shown, in seconds from the beginning.
    pub pts: f64,
    /// The frame is a keyframe.
    pub keyframe: bool,
    /// The moment asked for was past the end; this is the last frame.
    pub clamped: bool,
    /// How wide the picture is.
    pub width: u32,
    /// How high the picture is.
    pub height: u32,
    /// How wide the video's frames are, as stored.
    pub source_width: u32,
    /// How high the video's frames are, as stored.
    pub source_height: u32,
    /// How far the picture had to be turned, clockwise, in degrees.
    pub rotation: u32,
    /// The container, by libav's name.
    pub container: String,
    /// The codec, by libav's name.
    pub codec: String,
    /// How long each stage took.
    #[serde(skip)]
    pub stages: Stages,
}

/// How long the stages of the work took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Stages {
    /// Reading the container's headers.
    pub open: f64,
    /// Finding and decoding the frame.
    pub pick: f64,
    /// Making it small, upright and RGB.
    pub scale: f64,
    /// Writing JPEG or PNG.
    pub encode: f64,
}

/// Makes the picture, on this thread.
pub fn picture(source: Box<dyn RangeSource>, request: &Request) -> Result<Picture, Error> {
    if source.size() == 0 {
        return Err(Error::new(Kind::Empty, "the film holds no byte"));
    }

    let mut stages = Stages::default();
    let mut media = stage("open", &mut stages.open, || {
        let mut source = source;
        let head = head(&mut *source)?;
        Media::open(source, request.deadline).map_err(|error| explain(error, &head))
    })?;
    let Pick {
        frame,
        stream,
        time,
        clamped,
    } = stage("pick", &mut stages.pick, || {
        pick(&mut media, request.at, request.seek, request.max_pixels)
    })?;

    let orientation = stream
        .matrix
        .as_ref()
        .map_or_else(Orientation::default, Orientation::from_matrix);
    let pixels = stage("scale", &mut stages.scale, || {
        let aspect = frame.pixel_aspect().or(stream.pixel_aspect);
        let (width, height) = request.fit.size(frame.size(), aspect, orientation);
        Ok(orientation.apply(scale(&frame, width, height)?))
    })?;
    let bytes = stage("encode", &mut stages.encode, || {
        encode(&pixels, request.format, request.quality)
    })?;

    let facts = Facts {
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
        facts,
    })
}

/// Makes the picture on a thread of its own; `kept` is dropped when that thread has ended.
///
/// After the deadline the caller gets its answer at once, though the thread may need a moment
/// longer: it looks at the time whenever it reads.
pub(crate) async fn picture_apart<K: Send + 'static>(
    source: Box<dyn RangeSource>,
    request: Request,
    kept: K,
) -> Result<Picture, Error> {
    let (answer, answered) = oneshot::channel();
    let span = tracing::Span::current();
    let work = move || {
        let result = span.in_scope(|| picture(source, &request));
        drop(span);
        drop(kept);
        // Nobody waits any more when the deadline was missed.
        let _ = answer.send(result);
    };

    std::thread::Builder::new()
        .name("picture".to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|error| {
            Error::new(Kind::WorkerLost, "a thread cannot be started").because(error)
        })?;

    match tokio::time::timeout_at((request.deadline + GRACE).into(), answered).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::new(
            Kind::WorkerLost,
            "the decoder gave up without an answer",
        )),
        Err(_) => Err(Error::new(
            Kind::Timeout,
            "the picture was not ready in time",
        )),
    }
}

fn stage<T>(
    name: &'static str,
    milliseconds: &mut f64,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    let result = tracing::info_span!("stage", otel.name = name).in_scope(work);
    *milliseconds = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    result
}

/// The first bytes of the film.
fn head(source: &mut dyn RangeSource) -> Result<Vec<u8>, Error> {
    let mut head = vec![0; 64];
    let read = source.read_at(0, &mut head)?;
    head.truncate(read);
    Ok(head)
}

/// Why a file that could not be opened could not be: by its first bytes.
fn explain(error: Error, head: &[u8]) -> Error {
    if error.kind() != Kind::NotMedia {
        return error;
    }

    let text = head.trim_ascii_start();
    if [&b"#EXTM3U"[..], b"ffconcat", b"<MPD", b"[playlist]"]
        .iter()
        .any(|it| text.starts_with(it))
    {
        let message = "the file is a playlist; name the film itself";
        return Error::new(Kind::NotMedia, message);
    }

    let is_mp4 = head
        .get(4..8)
        .is_some_and(|it| [&b"ftyp"[..], b"moov", b"mdat", b"wide"].contains(&it));
    let is_known = is_mp4
        || [
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
            Kind::Damaged,
            "the headers of the film are damaged or missing",
        )
        .because(error.chain());
    }

    error
}

/// How long after the deadline the thread's own word is waited for.
const GRACE: Duration = Duration::from_millis(250);
/// Decoders keep big tables on the stack.
const STACK: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemorySource;

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

    fn kind_of(bytes: &'static [u8]) -> Kind {
        picture(Box::new(MemorySource::new(bytes)), &request())
            .unwrap_err()
            .kind()
    }

    #[test]
    fn what_is_no_film_is_told_apart() {
        assert_eq!(kind_of(b""), Kind::Empty);
        assert_eq!(
            kind_of(b"<html><body>not a film</body></html>"),
            Kind::NotMedia
        );
        assert_eq!(
            kind_of(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n"),
            Kind::NotMedia
        );

        assert_eq!(
            kind_of(b"ffconcat version 1.0\nfile /etc/passwd\n"),
            Kind::NotMedia
        );

        assert_eq!(
            kind_of(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08free"),
            Kind::Damaged
        );
    }

    #[tokio::test]
    async fn a_panic_of_the_source_is_an_answer() {
        struct Broken;

        impl RangeSource for Broken {
            fn size(&self) -> u64 {
                10
            }
            fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, Error> {
                panic!("as a bug would")
            }
        }

        let error = picture_apart(Box::new(Broken), request(), ())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::WorkerLost);
    }

    #[tokio::test]
    async fn a_source_that_hangs_is_left_at_the_deadline() {
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
        let error = picture_apart(Box::new(Hanging(ended)), request, ())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), Kind::Timeout);
        drop(end);
    }
}
