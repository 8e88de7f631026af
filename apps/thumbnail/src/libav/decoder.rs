//! Decodes packets into frames.

use std::cell::Cell;
use std::ptr::null;

use super::media::pixel_aspect;
use super::{
    CODECS, Media, Options, Packet, Stream, is_end, known_time, library, out_of_memory, sys,
};
use crate::{Error, ErrorKind};

/// The decoder of one stream.
pub(crate) struct Decoder {
    context: *mut sys::AVCodecContext,
    library: &'static sys::Constants,
    /// Set to 1 when an allocation has failed; libav then goes on with the next packet. It writes to this memory.
    is_out_of_memory: Box<Cell<i32>>,
}

impl Decoder {
    /// Creates a decoder that rejects pictures of more than `max_pixels`.
    pub(crate) fn new(media: &Media, stream: &Stream, max_pixels: u64) -> Result<Self, Error> {
        let library = library()?;
        let refuse = || {
            let codec = stream.codec_name();
            Error::new(
                ErrorKind::Unsupported,
                format!("codec `{codec}` is not supported"),
            )
        };

        let parameters = media.parameters(stream).ok_or_else(refuse)?;
        // SAFETY: takes any number, returns null or static memory.
        let codec = unsafe { sys::avcodec_find_decoder(stream.codec) };
        if codec.is_null() {
            return Err(refuse());
        }

        // SAFETY: plain allocation; freed in `Drop`.
        let context = unsafe { sys::avcodec_alloc_context3(codec) };
        if context.is_null() {
            return Err(out_of_memory());
        }

        let decoder = Self {
            context,
            library,
            is_out_of_memory: Box::default(),
        };
        // SAFETY: the context is ours and not open yet; the flag lives as long as the context.
        unsafe { sys::tn_codec_watch_memory(context, decoder.is_out_of_memory.as_ptr()) };
        let max_pixels = max_pixels.to_string();

        // One thread: frame threading would delay the first frame until the pipeline is full.
        let mut options = Options::new(&[
            (c"threads", "1"),
            (c"max_pixels", &max_pixels),
            (c"codec_whitelist", CODECS),
        ]);

        // SAFETY: the parameters belong to `media`, which is open, and are copied.
        let code = unsafe {
            let code = sys::avcodec_parameters_to_context(context, parameters);
            if code < 0 {
                code
            } else {
                sys::avcodec_open2(context, codec, &raw mut options.0)
            }
        };

        if code < 0 { Err(refuse()) } else { Ok(decoder) }
    }

    /// Sends a packet. A damaged one is skipped, since later ones may decode.
    pub(crate) fn send(&mut self, packet: &Packet) {
        self.push(packet.raw);
    }

    /// Signals the end of the stream, so that the decoder returns all buffered frames.
    pub(crate) fn finish(&mut self) {
        self.push(null());
    }

    /// Clears the decoder's state, to continue at another position.
    pub(crate) fn reset(&mut self) {
        // SAFETY: the context is open.
        unsafe { sys::avcodec_flush_buffers(self.context) };
    }

    /// Returns the next decoded frame, if one is available.
    pub(crate) fn receive(&mut self) -> Result<Option<Frame>, Error> {
        let frame = Frame::new()?;
        for _ in 0..MAX_DAMAGED_FRAMES {
            // SAFETY: the context is open, the frame is ours.
            let code = unsafe { sys::avcodec_receive_frame(self.context, frame.raw) };
            // Also with a frame: the one before it may be missing, and then it is the wrong one.
            if code == self.library.error_memory || self.is_out_of_memory.get() != 0 {
                return Err(out_of_memory());
            }
            if code >= 0 {
                return Ok(Some(frame));
            }

            if code == self.library.error_again || is_end(code, self.library) {
                return Ok(None);
            }

            // Invalid data affects a single picture, which the call has removed from the queue.
            if code != self.library.error_invalid_data {
                break;
            }
        }

        Ok(None)
    }

    fn push(&mut self, packet: *const sys::AVPacket) {
        // SAFETY: the context is open; the packet is valid or null, which ends the stream.
        let code = unsafe { sys::avcodec_send_packet(self.context, packet) };
        if code == self.library.error_memory {
            self.is_out_of_memory.set(1);
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { sys::avcodec_free_context(&raw mut self.context) };
    }
}

/// A decoded picture, in the pixel format of the codec.
pub(crate) struct Frame {
    raw: *mut sys::AVFrame,
}

impl Frame {
    fn new() -> Result<Self, Error> {
        // SAFETY: plain allocation.
        let raw = unsafe { sys::av_frame_alloc() };
        if raw.is_null() {
            return Err(out_of_memory());
        }
        Ok(Self { raw })
    }

    /// Returns the presentation time, in ticks of the stream.
    pub(crate) fn time(&self) -> Option<i64> {
        known_time(self.describe().pts)
    }

    /// Returns whether the frame is a keyframe.
    pub(crate) fn is_key(&self) -> bool {
        self.describe().is_key != 0
    }

    /// Returns the size in stored pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        let frame = self.describe();
        (frame.width.max(0) as u32, frame.height.max(0) as u32)
    }

    /// Returns the aspect ratio of a pixel; `None` if it is square or unknown.
    pub(crate) fn pixel_aspect(&self) -> Option<(u32, u32)> {
        let frame = self.describe();
        pixel_aspect((frame.sample_aspect_num, frame.sample_aspect_den))
    }

    pub(super) fn describe(&self) -> sys::Frame {
        let mut frame = std::mem::MaybeUninit::uninit();
        // SAFETY: the frame is ours and the function writes the whole struct.
        unsafe {
            sys::tn_frame_describe(self.raw, frame.as_mut_ptr());
            frame.assume_init()
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once, with the picture it refers to.
        unsafe { sys::av_frame_free(&raw mut self.raw) };
    }
}

/// The maximum number of damaged pictures to skip in one call.
const MAX_DAMAGED_FRAMES: usize = 64;
