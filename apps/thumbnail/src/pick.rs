//! Selects and decodes the frame for a position.
//!
//! The timeline starts at the container's first timestamp, as in a player. [`Seek::Before`] selects
//! the last keyframe at or before the target and decodes one packet, whatever the duration.
//! [`Seek::Exact`] decodes from there to the target and selects the frame that a player shows.
//! Past the end both select the last frame and set `clamped`.
//!
//! Containers can be wrong: a seek may land after its target, and the declared duration may exceed
//! the data. So the result of each seek is checked, and the search steps back until it is correct.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::libav::{Decoder, Frame, Media, Packet, Stream};
use crate::{Error, ErrorKind, Position};

/// How precisely to seek.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Seek {
    /// The last keyframe at or before the position; fast.
    Before,
    /// The frame that a player shows at the position.
    Exact,
}

/// The selected frame.
pub(crate) struct PickedFrame {
    pub(crate) frame: Frame,
    pub(crate) stream: Stream,
    /// Presentation time, in microseconds from the start.
    pub(crate) time: i64,
    /// Whether the position was past the end, and this is the last frame.
    pub(crate) clamped: bool,
}

/// Selects and decodes the frame for a position.
pub(crate) fn pick(
    media: &mut Media,
    position: Position,
    seek: Seek,
    max_pixels: u64,
) -> Result<PickedFrame, Error> {
    let stream = media.video()?;
    // Before the decoder allocates frames of that size.
    if u64::from(stream.width) * u64::from(stream.height) > max_pixels {
        let size = format!("{}x{}", stream.width, stream.height);
        let message = format!("the video is {size}, more than {max_pixels} pixels");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }

    let decoder = Decoder::new(media, &stream, max_pixels)?;
    let start = start_tick(media, &stream)?;
    // After `start_tick`, which needs the packets of all streams.
    media.select(&stream);
    Search {
        media,
        stream,
        decoder,
        start,
    }
    .find(position, seek)
}

/// Returns the tick at which the timeline starts.
fn start_tick(media: &mut Media, stream: &Stream) -> Result<i64, Error> {
    if let Some(micros) = media.start() {
        return Ok(stream.ticks(micros));
    }

    // Some headers do not have it (Matroska, fragmented MP4); then the first packets decide.
    let mut earliest = None;
    let mut streams = BTreeSet::new();
    for _ in 0..MAX_START_PACKETS {
        let Some(packet) = media.next_packet()? else {
            break;
        };
        if let Some(micros) = media.micros(&packet) {
            earliest = Some(earliest.map_or(micros, |time: i64| time.min(micros)));
        }

        streams.insert(packet.stream());
        if streams.len() >= media.streams() && streams.contains(&stream.index) {
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
struct Keyframe {
    packet: Packet,
    /// The seek position that led to it, to start there again.
    from: i64,
    /// Whether the data ended before the target.
    ended_early: bool,
}

/// A frame at or before the target, or else the first one after it.
struct DecodedFrame {
    frame: Frame,
    reached_end: bool,
}

impl Search<'_> {
    fn find(mut self, position: Position, seek: Seek) -> Result<PickedFrame, Error> {
        let declared = self.declared_end();
        let (target, end) = match position {
            Position::After(micros) => {
                let target = self.start.saturating_add(self.stream.ticks(micros));
                (target, declared.unwrap_or(i64::MAX))
            }
            Position::Share(share) => {
                let end = declared.map_or_else(|| self.scan_end(), Ok)?;
                let length = end.saturating_sub(self.start);
                (self.start + (length as f64 * share) as i64, end)
            }
        };

        if target >= end {
            return self.pick_last(end, target);
        }
        let Some(key) = self.keyframe_before(target)? else {
            return self.pick_without_keyframe(target);
        };

        // Without a declared end, reaching the end of the data means that the target is past it.
        if key.ended_early && declared.is_none() {
            return self.pick_last(target, target);
        }

        let clamped = key.ended_early;
        if seek == Seek::Before
            && let Some(frame) = self.decode_alone(&key.packet)?
        {
            let time = frame.time().or(key.packet.time());
            return Ok(self.into_picked_frame(frame, time, clamped));
        }

        let found = self.decode_until(key.from, target)?;
        let time = found.frame.time();
        // The last frame counts as shown for `MAX_FRAME_DURATION`; beyond that, the end has passed.
        let past_end = found.reached_end && time.is_some_and(|time| self.is_over(time, target));
        Ok(self.into_picked_frame(found.frame, time, clamped || past_end))
    }

    /// Selects the last frame.
    fn pick_last(mut self, end: i64, target: i64) -> Result<PickedFrame, Error> {
        let key = self.keyframe_before(end)?;
        let from = key.map_or(self.start, |key| key.from);
        let found = self.decode_until(from, i64::MAX)?;
        let time = found.frame.time();
        let clamped = target > end || time.is_some_and(|time| self.is_over(time, target));
        Ok(self.into_picked_frame(found.frame, time, clamped))
    }

    /// Decodes from the start when no packet is marked as a keyframe.
    fn pick_without_keyframe(mut self, target: i64) -> Result<PickedFrame, Error> {
        let found = self.decode_until(self.start, target)?;
        let time = found.frame.time();
        let clamped = time.is_some_and(|time| self.is_over(time, target));
        Ok(self.into_picked_frame(found.frame, time, clamped))
    }

    fn into_picked_frame(self, frame: Frame, time: Option<i64>, clamped: bool) -> PickedFrame {
        let after = time.map_or(0, |time| time.saturating_sub(self.start));
        let time = self.stream.micros(after).max(0);
        PickedFrame {
            frame,
            stream: self.stream,
            time,
            clamped,
        }
    }

    /// Returns the end of the stream that the headers declare, in ticks.
    fn declared_end(&self) -> Option<i64> {
        let stream = self.stream.duration.map(|duration| {
            let start = self.stream.start.unwrap_or(self.start);
            start.saturating_add(duration)
        });
        stream.or_else(|| {
            let length = self.stream.ticks(self.media.duration()?);
            Some(self.start.saturating_add(length))
        })
    }

    /// Finds the end of the stream by reading all packets, in ticks.
    fn scan_end(&mut self) -> Result<i64, Error> {
        let mut end = self.start;
        self.seek_to(self.start)?;
        while let Some(packet) = self.next()? {
            end = end.max(packet.end().unwrap_or(end));
        }
        Ok(end)
    }

    /// Finds the last keyframe at or before `target`, or else the first one of all.
    fn keyframe_before(&mut self, target: i64) -> Result<Option<Keyframe>, Error> {
        let mut step = 0;
        loop {
            let from = target
                .saturating_sub(self.stream.ticks(step))
                .max(self.start);
            let is_first = from <= self.start;

            self.seek_to(from)?;
            let key = self.read_key(from, target, step, is_first)?;
            if key.is_some() || is_first {
                return Ok(key);
            }
            step = (step * 2).max(FIRST_STEP);
        }
    }

    /// Reads from a seek position up to `target`; returns `None` if the position was too late.
    fn read_key(
        &mut self,
        from: i64,
        target: i64,
        step: i64,
        is_first: bool,
    ) -> Result<Option<Keyframe>, Error> {
        let mut best: Option<Packet> = None;
        let mut latest_time = i64::MIN;
        while let Some(packet) = self.next()? {
            latest_time = latest_time.max(packet.time().unwrap_or(latest_time));
            let is_late = latest_time > target;

            // Only at the start a keyframe after the target is better than none.
            if is_late && (best.is_some() || !is_first) {
                return Ok(best.map(|packet| Keyframe {
                    packet,
                    from,
                    ended_early: false,
                }));
            }

            if !packet.is_key() {
                continue;
            }

            // After a step back there may be a later keyframe before the target; without a declared
            // end, the target may be past the end. Both need the packets up to the target.
            if is_late || (step == 0 && self.declared_end().is_some()) {
                return Ok(Some(Keyframe {
                    packet,
                    from,
                    ended_early: false,
                }));
            }
            best = Some(packet);
        }

        let ended_early = self.is_over(latest_time, target);
        Ok(best.map(|packet| Keyframe {
            packet,
            from,
            ended_early,
        }))
    }

    /// Decodes a single packet: the end of the stream makes the decoder return its frame at once.
    fn decode_alone(&mut self, packet: &Packet) -> Result<Option<Frame>, Error> {
        self.decoder.send(packet);
        self.decoder.finish();
        let frame = self.decoder.receive()?;
        self.decoder.reset();
        Ok(frame)
    }

    /// Decodes up to the last frame at or before `target`, or else the first one after it.
    fn decode_until(&mut self, from: i64, target: i64) -> Result<DecodedFrame, Error> {
        self.seek_to(from)?;
        let mut latest_frame: Option<Frame> = None;
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
                    let frame = latest_frame.unwrap_or(frame);
                    return Ok(DecodedFrame {
                        frame,
                        reached_end: false,
                    });
                }
                latest_frame = Some(frame);
            }
        }

        let frame = latest_frame.ok_or_else(no_frame)?;
        Ok(DecodedFrame {
            frame,
            reached_end: true,
        })
    }

    /// Seeks to a tick. The start of the timeline needs an earlier tick: some containers seek by
    /// decoding time, which precedes the presentation time.
    fn seek_to(&mut self, from: i64) -> Result<(), Error> {
        let early = self
            .start
            .saturating_sub(self.stream.ticks(MAX_DECODE_LEAD));
        let tick = if from <= self.start { early } else { from };
        self.media.seek(&self.stream, tick)
    }

    /// Returns whether a frame presented at `time` has certainly ended at `target`.
    fn is_over(&self, time: i64, target: i64) -> bool {
        target.saturating_sub(time) > self.stream.ticks(MAX_FRAME_DURATION)
    }

    fn next(&mut self) -> Result<Option<Packet>, Error> {
        loop {
            // Decoding reads nothing while the buffer lasts, so the read callback alone is not enough.
            self.media.check_deadline()?;
            match self.media.next_packet()? {
                Some(packet) if !packet.belongs_to(&self.stream) => {}
                other => return Ok(other),
            }
        }
    }
}

fn no_frame() -> Error {
    Error::new(ErrorKind::NoFrame, "cannot decode any frame of the video")
}

/// The first step back, in microseconds; each further step doubles it.
const FIRST_STEP: i64 = 1_000_000;
/// The maximum lead of a frame's decoding time over its presentation time, in microseconds.
const MAX_DECODE_LEAD: i64 = 10_000_000;
/// The maximum number of packets to read to find the start of the streams.
const MAX_START_PACKETS: usize = 128;
/// The assumed duration of the last frame, in microseconds, if it is unknown.
const MAX_FRAME_DURATION: i64 = 1_000_000;
