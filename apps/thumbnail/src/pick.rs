//! Which frame: from a moment asked for to a decoded picture.
//!
//! The timeline begins at the container's first moment, as in a player. [`Seek::Before`] takes the
//! last keyframe at or before the moment: one packet is decoded, whatever the file's length.
//! [`Seek::Exact`] decodes from there up to the moment and takes the frame a player shows then.
//! Past the end both give the last frame, and say so.
//!
//! Containers lie: some land on a later place than asked for, some claim a length they do not
//! have. So what a seek finds is looked at, and the search steps back until it is right.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::libav::{Decoder, Frame, Media, Packet, Stream};
use crate::{Error, Kind, Position};

/// How close to the moment the picture must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Seek {
    /// The last keyframe at or before the moment: quick.
    Before,
    /// The frame that a player shows at the moment.
    Exact,
}

/// The frame that was found.
pub(crate) struct Pick {
    pub(crate) frame: Frame,
    pub(crate) stream: Stream,
    /// When it is shown, in microseconds from the beginning.
    pub(crate) time: i64,
    /// The moment was past the end, and this is the last frame there is.
    pub(crate) clamped: bool,
}

/// Finds the frame for a moment.
pub(crate) fn pick(
    media: &mut Media,
    position: Position,
    seek: Seek,
    max_pixels: u64,
) -> Result<Pick, Error> {
    let stream = media.video()?;
    if u64::from(stream.width) * u64::from(stream.height) > max_pixels {
        let size = format!("{}x{}", stream.width, stream.height);
        let message = format!("the video is {size}, more than {max_pixels} pixels");
        return Err(Error::new(Kind::Unsupported, message));
    }

    let decoder = Decoder::new(media, &stream, max_pixels)?;
    let start = first_moment(media, &stream)?;
    media.select(&stream);
    Search {
        media,
        stream,
        decoder,
        start,
    }
    .find(position, seek)
}

/// The tick at which the timeline begins.
fn first_moment(media: &mut Media, stream: &Stream) -> Result<i64, Error> {
    if let Some(micros) = media.start() {
        return Ok(stream.ticks(micros));
    }

    // The headers do not say it (Matroska, fragments): the first packets of all streams do.
    let mut earliest = None;
    let mut seen = BTreeSet::new();
    for _ in 0..FIRST_PACKETS {
        let Some(packet) = media.next_packet()? else {
            break;
        };
        if let Some(micros) = media.micros(&packet) {
            earliest = Some(earliest.map_or(micros, |time: i64| time.min(micros)));
        }

        seen.insert(packet.stream());
        if seen.len() >= media.streams() && seen.contains(&stream.index) {
            break;
        }
    }

    Ok(stream.ticks(earliest.unwrap_or(0)))
}

struct Search<'a> {
    media: &'a mut Media,
    stream: Stream,
    decoder: Decoder,
    start: i64,
}

/// A keyframe to start from.
struct Key {
    packet: Packet,
    /// Where the reading began, to begin there again.
    from: i64,
    /// The data ended before the moment.
    ended_early: bool,
}

/// A frame on the way to the moment, or past it.
struct Found {
    frame: Frame,
    reached_end: bool,
}

impl Search<'_> {
    fn find(mut self, position: Position, seek: Seek) -> Result<Pick, Error> {
        let said = self.said_end();
        let (target, end) = match position {
            Position::After(micros) => {
                let target = self.start.saturating_add(self.stream.ticks(micros));
                (target, said.unwrap_or(i64::MAX))
            }
            Position::Share(share) => {
                let end = said.map_or_else(|| self.found_end(), Ok)?;
                let length = end.saturating_sub(self.start);
                (self.start + (length as f64 * share) as i64, end)
            }
        };

        if target >= end {
            return self.last(end, target);
        }
        let Some(key) = self.key_before(target)? else {
            return self.without_key(target);
        };

        if key.ended_early && said.is_none() {
            return self.last(target, target);
        }

        let clamped = key.ended_early;
        if seek == Seek::Before
            && let Some(frame) = self.decode_alone(&key.packet)?
        {
            let time = frame.time().or(key.packet.time());
            return Ok(self.pick(frame, time, clamped));
        }

        let found = self.decode_until(key.from, target)?;
        let time = found.frame.time();
        let shown_last = found.reached_end && time.is_some_and(|time| self.is_over(time, target));
        Ok(self.pick(found.frame, time, clamped || shown_last))
    }

    /// The last frame there is.
    fn last(mut self, end: i64, target: i64) -> Result<Pick, Error> {
        let key = self.key_before(end)?;
        let from = key.map_or(self.start, |key| key.from);
        let found = self.decode_until(from, i64::MAX)?;
        let time = found.frame.time();
        let clamped = target > end || time.is_some_and(|time| self.is_over(time, target));
        Ok(self.pick(found.frame, time, clamped))
    }

    /// Nothing says that it is a keyframe: decode from the beginning and take what comes.
    fn without_key(mut self, target: i64) -> Result<Pick, Error> {
        let found = self.decode_until(self.start, target)?;
        let time = found.frame.time();
        let clamped = time.is_some_and(|time| self.is_over(time, target));
        Ok(self.pick(found.frame, time, clamped))
    }

    fn pick(self, frame: Frame, time: Option<i64>, clamped: bool) -> Pick {
        let after = time.map_or(0, |time| time.saturating_sub(self.start));
        let time = self.stream.micros(after).max(0);
        Pick {
            frame,
            stream: self.stream,
            time,
            clamped,
        }
    }

    /// The tick at which the picture is over, as the headers say.
    fn said_end(&self) -> Option<i64> {
        let stream = self.stream.duration.map(|duration| {
            let start = self.stream.start.unwrap_or(self.start);
            start.saturating_add(duration)
        });
        stream.or_else(|| {
            let length = self.stream.ticks(self.media.duration()?);
            Some(self.start.saturating_add(length))
        })
    }

    /// The tick at which the picture is over, by reading all packets.
    fn found_end(&mut self) -> Result<i64, Error> {
        let mut end = self.start;
        self.go(self.start)?;
        while let Some(packet) = self.next()? {
            end = end.max(packet.end().unwrap_or(end));
        }
        Ok(end)
    }

    /// The last keyframe at or before `target`; the first one of all if there is none before.
    fn key_before(&mut self, target: i64) -> Result<Option<Key>, Error> {
        let mut step = 0;
        loop {
            let from = target
                .saturating_sub(self.stream.ticks(step))
                .max(self.start);
            let is_first = from <= self.start;

            self.go(from)?;
            let key = self.read_key(from, target, step, is_first)?;
            if key.is_some() || is_first {
                return Ok(key);
            }
            step = (step * 2).max(FIRST_STEP);
        }
    }

    /// Reads on from a place that was gone to. `None`: it was too late a place.
    fn read_key(
        &mut self,
        from: i64,
        target: i64,
        step: i64,
        is_first: bool,
    ) -> Result<Option<Key>, Error> {
        let mut best: Option<Packet> = None;
        let mut latest = i64::MIN;
        while let Some(packet) = self.next()? {
            latest = latest.max(packet.time().unwrap_or(latest));
            let is_late = latest > target;

            // Only at the beginning a keyframe after the moment is better than none.
            if is_late && (best.is_some() || !is_first) {
                return Ok(best.map(|packet| Key {
                    packet,
                    from,
                    ended_early: false,
                }));
            }

            if !packet.is_key() {
                continue;
            }

            // After a step back there may be a later keyframe that is still early enough; and
            // without a length the moment may be past the end.
            if is_late || (step == 0 && self.said_end().is_some()) {
                return Ok(Some(Key {
                    packet,
                    from,
                    ended_early: false,
                }));
            }
            best = Some(packet);
        }

        let ended_early = self.is_over(latest, target);
        Ok(best.map(|packet| Key {
            packet,
            from,
            ended_early,
        }))
    }

    /// One packet, and then the end: the decoder gives its frame without waiting for more.
    fn decode_alone(&mut self, packet: &Packet) -> Result<Option<Frame>, Error> {
        self.decoder.send(packet);
        self.decoder.finish();
        let frame = self.decoder.receive()?;
        self.decoder.reset();
        Ok(frame)
    }

    /// The last frame at or before `target`, or else the first one after it.
    fn decode_until(&mut self, from: i64, target: i64) -> Result<Found, Error> {
        self.go(from)?;
        let mut shown: Option<Frame> = None;
        let mut is_open = true;
        while is_open {
            if let Some(packet) = self.next()? {
                self.decoder.send(&packet);
            } else {
                self.decoder.finish();
                is_open = false;
            }
            while let Some(frame) = self.decoder.receive()? {
                let is_late = frame.time().is_some_and(|time| time > target);
                if is_late {
                    let frame = shown.unwrap_or(frame);
                    return Ok(Found {
                        frame,
                        reached_end: false,
                    });
                }
                shown = Some(frame);
            }
        }

        let frame = shown.ok_or_else(no_frame)?;
        Ok(Found {
            frame,
            reached_end: true,
        })
    }

    /// Goes to a place to read on from. The beginning is far before the first frame is shown:
    /// some containers are searched by when frames are decoded, which is earlier.
    fn go(&mut self, from: i64) -> Result<(), Error> {
        let early = self
            .start
            .saturating_sub(self.stream.ticks(DECODED_EARLIER));
        let place = if from <= self.start { early } else { from };
        self.media.seek(&self.stream, place)
    }

    /// Whether a frame shown at `time` was surely over at `target`.
    fn is_over(&self, time: i64, target: i64) -> bool {
        target.saturating_sub(time) > self.stream.ticks(LONGEST_FRAME)
    }

    fn next(&mut self) -> Result<Option<Packet>, Error> {
        loop {
            self.media.in_time()?;
            match self.media.next_packet()? {
                Some(packet) if !packet.is_of(&self.stream) => {}
                other => return Ok(other),
            }
        }
    }
}

fn no_frame() -> Error {
    Error::new(Kind::NoFrame, "no frame of the video can be decoded")
}

/// How far the first step back goes, in microseconds; each further one doubles it.
const FIRST_STEP: i64 = 1_000_000;
/// How much earlier than it is shown a frame is decoded at most, in microseconds.
const DECODED_EARLIER: i64 = 10_000_000;
/// How many packets are read at most to see where the streams begin.
const FIRST_PACKETS: usize = 128;
/// A last frame is taken to be shown this long, in microseconds, when nothing says how long.
const LONGEST_FRAME: i64 = 1_000_000;
