//! The messages between parent and child: a tag, a length and a payload.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ProcessLimits;
use crate::worker::{PictureInfo, StageTimings};
use crate::{Error, ErrorKind, Fit, Format, Picture, Position, Request, Seek};

/// The first message to a child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// The size of the video, in bytes.
    pub(super) size: u64,
    pub(super) limits: ProcessLimits,
    at: Position,
    seek: Seek,
    width: u32,
    height: u32,
    format: Format,
    quality: u8,
    max_pixels: u64,
    milliseconds: u64,
}

impl Job {
    pub(super) fn new(size: u64, request: &Request, limits: ProcessLimits) -> Self {
        let rest = request.deadline.saturating_duration_since(Instant::now());
        Self {
            size,
            limits,
            at: request.at,
            seek: request.seek,
            width: request.fit.width,
            height: request.fit.height,
            format: request.format,
            quality: request.quality,
            max_pixels: request.max_pixels,
            milliseconds: rest.as_millis() as u64,
        }
    }

    /// Returns the time that is left.
    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }

    /// Returns the request, whose deadline counts from now.
    pub(super) fn request(&self) -> Request {
        Request {
            at: self.at,
            seek: self.seek,
            fit: Fit {
                width: self.width,
                height: self.height,
            },
            format: self.format,
            quality: self.quality,
            max_pixels: self.max_pixels,
            deadline: Instant::now() + self.time(),
        }
    }
}

/// A message of the child.
#[derive(Debug)]
pub(super) enum FromChild {
    /// Asks for bytes of the video.
    Read { offset: u64, size: u32 },
    /// A stage begins, by its index.
    Stage(u8),
    /// The result.
    Finished(Result<Picture, Error>),
}

impl FromChild {
    /// Writes the message.
    pub(super) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Read { offset, size } => write(
                writer,
                Tag::Read,
                &[&offset.to_le_bytes(), &size.to_le_bytes()],
            ),
            Self::Stage(index) => write(writer, Tag::Stage, &[&[*index]]),
            Self::Finished(Ok(picture)) => {
                let head = serde_json::to_vec(&PictureHead::new(picture))?;
                let length = (head.len() as u32).to_le_bytes();
                write(writer, Tag::Picture, &[&length, &head, &picture.bytes])
            }
            Self::Finished(Err(error)) => {
                let failure = serde_json::to_vec(&(error.kind(), error.chain()))?;
                write(writer, Tag::Failure, &[&failure])
            }
        }
    }

    /// Reads the next message.
    pub(super) fn read(reader: &mut impl Read) -> io::Result<Self> {
        let (tag, payload) = read(reader, MAX_PICTURE_BYTES)?;
        let message = match tag {
            Tag::Read => {
                let (offset, size) = payload.split_first_chunk().ok_or_else(invalid)?;
                let size = size.try_into().map_err(|_| invalid())?;
                Self::Read {
                    offset: u64::from_le_bytes(*offset),
                    size: u32::from_le_bytes(size),
                }
            }
            Tag::Stage => Self::Stage(*payload.first().ok_or_else(invalid)?),
            Tag::Picture => Self::Finished(Ok(PictureHead::read(payload).ok_or_else(invalid)?)),
            Tag::Failure => {
                let (kind, message): (ErrorKind, String) = serde_json::from_slice(&payload)?;
                Self::Finished(Err(Error::new(kind, message)))
            }
            Tag::Job | Tag::Bytes => return Err(invalid()),
        };
        Ok(message)
    }
}

/// What a picture message has besides the image.
#[derive(Serialize, Deserialize)]
struct PictureHead {
    format: Format,
    info: PictureInfo,
    /// The bits of the floating-point numbers, since JSON may round them: `pts` and the stages.
    numbers: [u64; 5],
}

impl PictureHead {
    fn new(picture: &Picture) -> Self {
        let StageTimings {
            open,
            pick,
            scale,
            encode,
        } = picture.info.stages;
        Self {
            format: picture.format,
            info: picture.info.clone(),
            numbers: [picture.info.pts, open, pick, scale, encode].map(f64::to_bits),
        }
    }

    fn read(mut payload: Vec<u8>) -> Option<Picture> {
        let (length, rest) = payload.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let head: Self = serde_json::from_slice(rest.get(..length)?).ok()?;
        // In place: a picture may take a good part of the memory.
        payload.drain(..4 + length);
        let [pts, open, pick, scale, encode] = head.numbers.map(f64::from_bits);

        Some(Picture {
            bytes: payload,
            format: head.format,
            info: PictureInfo {
                pts,
                stages: StageTimings {
                    open,
                    pick,
                    scale,
                    encode,
                },
                ..head.info
            },
        })
    }
}

/// Writes a job.
pub(super) fn write_job(writer: &mut impl Write, job: &Job) -> io::Result<()> {
    write(writer, Tag::Job, &[&serde_json::to_vec(job)?])
}

/// Reads a job.
pub(super) fn read_job(reader: &mut impl Read) -> io::Result<Job> {
    match read(reader, MAX_JOB_BYTES)? {
        (Tag::Job, payload) => Ok(serde_json::from_slice(&payload)?),
        _ => Err(invalid()),
    }
}

/// Writes bytes of the video.
pub(super) fn write_bytes(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write(writer, Tag::Bytes, &[bytes])
}

/// Reads bytes of the video into `buffer` and returns their number. Allocates nothing, since the memory of a child is
/// limited.
pub(super) fn read_bytes(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let (tag, length) = read_head(reader)?;
    let target = buffer.get_mut(..length).filter(|_| tag == Tag::Bytes);
    reader.read_exact(target.ok_or_else(invalid)?)?;
    Ok(length)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Job,
    Bytes,
    Read,
    Stage,
    Picture,
    Failure,
}

impl Tag {
    const ALL: [Self; 6] = [
        Self::Job,
        Self::Bytes,
        Self::Read,
        Self::Stage,
        Self::Picture,
        Self::Failure,
    ];
}

fn write(writer: &mut impl Write, tag: Tag, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(|_| invalid())?;
    // One buffer for the small parts, so that most messages are one system call.
    let mut start = vec![tag as u8];
    start.extend(length.to_le_bytes());

    let mut parts = parts.iter();
    for part in parts.by_ref() {
        if part.len() > MAX_COPIED_BYTES {
            writer.write_all(&start)?;
            writer.write_all(part)?;
            start.clear();
        } else {
            start.extend(*part);
        }
    }
    writer.write_all(&start)
}

fn read(reader: &mut impl Read, max_bytes: u64) -> io::Result<(Tag, Vec<u8>)> {
    let (tag, length) = read_head(reader)?;
    if length as u64 > max_bytes {
        return Err(invalid());
    }

    // Grows with what arrives: the length alone reserves nothing.
    let mut payload = Vec::new();
    reader.take(length as u64).read_to_end(&mut payload)?;
    if payload.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((tag, payload))
}

fn read_head(reader: &mut impl Read) -> io::Result<(Tag, usize)> {
    let mut head = [0; 5];
    reader.read_exact(&mut head)?;
    let [tag, length @ ..] = head;
    let tag = Tag::ALL.get(usize::from(tag)).copied();
    Ok((
        tag.ok_or_else(invalid)?,
        u32::from_le_bytes(length) as usize,
    ))
}

fn invalid() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "invalid message between decoder and parent",
    )
}

/// The maximum size of a picture: a PNG of `MAX_SIDE` squared without any compression is 201 MB.
const MAX_PICTURE_BYTES: u64 = 256 * 1024 * 1024;
const MAX_JOB_BYTES: u64 = 4096;
const MAX_COPIED_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture {
            bytes: vec![7; 100_000],
            format: Format::Png,
            info: PictureInfo {
                pts: 0.1 + 0.2,
                keyframe: true,
                clamped: false,
                width: 3,
                height: 2,
                source_width: 30,
                source_height: 20,
                rotation: 90,
                container: "mov".to_owned(),
                codec: "h264".to_owned(),
                stages: StageTimings {
                    open: 1.0 / 3.0,
                    ..StageTimings::default()
                },
            },
        }
    }

    fn transfer(message: &FromChild) -> FromChild {
        let mut bytes = Vec::new();
        message.write(&mut bytes).unwrap();
        FromChild::read(&mut &bytes[..]).unwrap()
    }

    #[test]
    fn a_picture_arrives_unchanged() {
        let FromChild::Finished(Ok(received)) = transfer(&FromChild::Finished(Ok(picture())))
        else {
            panic!("not a picture")
        };
        assert_eq!(received.info, picture().info);
        assert_eq!(received.bytes, picture().bytes);
        assert_eq!(received.format, Format::Png);
    }

    #[test]
    fn an_error_keeps_its_kind_and_message() {
        let error = Error::new(ErrorKind::NoFrame, "no frame").with_source("why");
        let FromChild::Finished(Err(received)) = transfer(&FromChild::Finished(Err(error))) else {
            panic!("not an error")
        };
        assert_eq!(received.kind(), ErrorKind::NoFrame);
        assert_eq!(received.to_string(), "no frame: why");
    }

    #[test]
    fn a_request_for_bytes_arrives_unchanged() {
        let offset = u64::MAX - 1;
        let received = transfer(&FromChild::Read { offset, size: 9 });
        assert!(
            matches!(received, FromChild::Read { offset: o, size: 9 } if o == offset),
            "{received:?}"
        );
    }

    #[test]
    fn rejects_invalid_messages() {
        let job = [&[0, 2, 0, 0, 0][..], b"{}"].concat();
        for bytes in [
            &[9, 0, 0, 0, 0][..],         // an unknown tag
            &[3, 0, 0, 0, 0],             // a stage without an index
            &[2, 1, 0, 0, 0, 1],          // a read without an offset
            &[4, 4, 0, 0, 0, 9, 0, 0, 0], // a picture whose head is longer than the message
            &[5, 255, 255, 255, 255, 0],  // too long
            &[5, 4, 0, 0, 0, 1],          // cut off
            &job,                         // from the wrong side
        ] {
            assert!(FromChild::read(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_beyond_the_buffer_are_rejected() {
        let mut message = Vec::new();
        write_bytes(&mut message, b"12345").unwrap();
        assert!(read_bytes(&mut &message[..], &mut [0; 4]).is_err());
        assert_eq!(read_bytes(&mut &message[..], &mut [0; 9]).unwrap(), 5);
    }
}
