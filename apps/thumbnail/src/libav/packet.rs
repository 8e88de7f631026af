//! A packet: a piece of encoded data of one stream.

use super::media::Stream;
use super::{known_time, out_of_memory, sys};
use crate::Error;

/// A packet of a stream.
pub(crate) struct Packet {
    pub(super) raw: *mut sys::AVPacket,
}

impl Packet {
    pub(super) fn new() -> Result<Self, Error> {
        // SAFETY: plain allocation.
        let raw = unsafe { sys::av_packet_alloc() };
        if raw.is_null() {
            return Err(out_of_memory());
        }
        Ok(Self { raw })
    }

    /// Returns the presentation time, or else the decoding time, in ticks of the stream.
    pub(crate) fn time(&self) -> Option<i64> {
        let packet = self.describe();
        known_time(packet.pts).or(known_time(packet.dts))
    }

    /// Returns the end of its presentation, in ticks of the stream.
    pub(crate) fn end(&self) -> Option<i64> {
        self.time()?.checked_add(self.describe().duration.max(0))
    }

    /// Returns whether decoding can start with the packet.
    pub(crate) fn is_key(&self) -> bool {
        self.describe().is_key != 0
    }

    /// Returns the index of its stream.
    pub(crate) fn stream(&self) -> u32 {
        self.describe().stream.max(0) as u32
    }

    pub(crate) fn belongs_to(&self, stream: &Stream) -> bool {
        self.stream() == stream.index
    }

    fn describe(&self) -> sys::Packet {
        let mut packet = sys::Packet::default();
        // SAFETY: the packet is ours and the function writes the whole struct.
        unsafe { sys::tn_packet_describe(self.raw, &raw mut packet) };
        packet
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once, with what it refers to.
        unsafe { sys::av_packet_free(&raw mut self.raw) };
    }
}
