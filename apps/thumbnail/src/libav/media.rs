//! An open container: its streams and packets.

use std::ffi::c_int;
use std::ptr::{null, null_mut};
use std::time::Instant;

use super::packet::Packet;
use super::reader::{self, Reader};
use super::{
    CODECS, CONTAINERS, Options, is_end, known_time, library, out_of_memory, static_name, sys,
};
use crate::{Error, ErrorKind, RangeSource};

/// An open container.
pub(crate) struct Media {
    context: *mut sys::AVFormatContext,
    io: *mut sys::AVIOContext,
    reader: *mut Reader,
    library: &'static sys::Constants,
}

/// The parameters of a stream. Times are in ticks of `time_base`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) index: u32,
    pub(crate) start: Option<i64>,
    pub(crate) duration: Option<i64>,
    /// The duration of a tick in seconds, as a fraction.
    pub(crate) time_base: (i32, i32),
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The aspect ratio of a pixel; `None` if it is square or unknown.
    pub(crate) pixel_aspect: Option<(u32, u32)>,
    /// The display matrix: 16.16 fixed-point numbers in row order.
    pub(crate) matrix: Option<[i32; 9]>,
    pub(super) codec: c_int,
    is_known: bool,
    is_cover: bool,
}

impl Media {
    /// Opens a container and reads its headers, within the deadline.
    pub(crate) fn open(source: Box<dyn RangeSource>, deadline: Instant) -> Result<Self, Error> {
        let library = library()?;
        let mut media = Self {
            context: null_mut(),
            io: null_mut(),
            reader: Box::into_raw(Box::new(Reader::new(source, deadline, library))),
            library,
        };
        media.connect()?;
        media.read_headers()?;
        Ok(media)
    }

    /// Returns the name of the container in libav.
    pub(crate) fn container(&self) -> String {
        // SAFETY: names of containers are constants of libav's.
        unsafe { static_name(self.describe().name) }
    }

    /// Returns the duration that the container declares, in microseconds.
    pub(crate) fn duration(&self) -> Option<i64> {
        known_time(self.describe().duration).filter(|duration| *duration > 0)
    }

    /// Returns the number of streams found so far.
    pub(crate) fn streams(&self) -> usize {
        self.describe().streams as usize
    }

    /// Returns the earliest start of all streams, in microseconds, if the headers declare all of them.
    pub(crate) fn start(&self) -> Option<i64> {
        let format = self.describe();
        if let Some(start) = known_time(format.start) {
            return Some(start);
        }

        let mut earliest = None;
        for index in 0..format.streams {
            let stream = self.stream(index)?;
            let start = stream.micros(stream.start?);
            earliest = Some(earliest.map_or(start, |time: i64| time.min(start)));
        }

        earliest
    }

    /// Returns the time of a packet of any stream, in microseconds.
    pub(crate) fn micros(&self, packet: &Packet) -> Option<i64> {
        let stream = self.stream(packet.stream())?;
        Some(stream.micros(packet.time()?))
    }

    /// Returns the video stream; cover images do not count.
    pub(crate) fn video(&mut self) -> Result<Stream, Error> {
        if let Some(stream) = self.best()?.filter(|stream| stream.is_known) {
            return Ok(stream);
        }

        // Some headers lack the parameters (transport streams, some FLV); then packets are probed.
        // SAFETY: the context is open; null options are allowed.
        let code = unsafe { sys::avformat_find_stream_info(self.context, null_mut()) };
        self.check(
            code,
            ErrorKind::Damaged,
            "cannot read the streams of the file",
        )?;

        if self.streams() == 0 {
            return Err(Error::new(ErrorKind::Damaged, "the file has no streams"));
        }

        self.best()?
            .ok_or_else(|| Error::new(ErrorKind::NoVideo, "the file has no video stream"))
    }

    /// Discards the packets of all other streams from now on.
    pub(crate) fn select(&mut self, stream: &Stream) {
        // SAFETY: the context is open and exclusively borrowed.
        unsafe { sys::tn_format_select(self.context, stream.index) };
    }

    /// Seeks to the last indexed position at or before `time` (in ticks of the stream), else to the
    /// first one after it, else to the start.
    pub(crate) fn seek(&mut self, stream: &Stream, time: i64) -> Result<(), Error> {
        if stream.index >= self.describe().streams {
            return Ok(());
        }

        // Byte 0 is the last resort, since it needs no index.
        let tries = [
            (time, self.library.seek_backward),
            (time, 0),
            (0, self.library.seek_byte),
        ];

        for (tick, flags) in tries {
            // SAFETY: the context is open and has a stream of this index.
            let code =
                unsafe { sys::av_seek_frame(self.context, stream.index as c_int, tick, flags) };
            self.take_source_error()?;
            if code >= 0 {
                break;
            }
        }

        Ok(())
    }

    /// Returns the next packet, or `None` at the end of the file or of its readable data.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        let packet = Packet::new()?;
        // SAFETY: the context is open, the packet is ours and empty.
        let code = unsafe { sys::av_read_frame(self.context, packet.raw) };
        self.take_source_error()?;
        if code == self.library.error_memory {
            return Err(out_of_memory());
        }
        Ok((code >= 0).then_some(packet))
    }

    /// Fails after the deadline; for loops that decode without reading.
    pub(crate) fn check_deadline(&self) -> Result<(), Error> {
        // SAFETY: no call into libav is running, so that no callback uses the reader.
        unsafe { &*self.reader }.check_deadline()
    }

    pub(super) fn parameters(&self, stream: &Stream) -> Option<*const sys::AVCodecParameters> {
        Some(self.raw_stream(stream.index)?.parameters)
    }

    fn connect(&mut self) -> Result<(), Error> {
        // SAFETY: plain allocation.
        let buffer = unsafe { sys::av_malloc(BUFFER as usize) }.cast::<u8>();
        if buffer.is_null() {
            return Err(out_of_memory());
        }

        // SAFETY: the buffer has the size given and is owned by the context from here on; the
        // reader outlives the context (see `Drop`).
        self.io = unsafe {
            sys::avio_alloc_context(
                buffer,
                BUFFER,
                0,
                self.reader.cast(),
                Some(reader::read),
                None,
                Some(reader::seek),
            )
        };

        if self.io.is_null() {
            // SAFETY: no context took the buffer over.
            unsafe { sys::av_free(buffer.cast()) };
            return Err(out_of_memory());
        }

        // SAFETY: plain allocation, then fields of the new context are set.
        unsafe {
            self.context = sys::avformat_alloc_context();
            if self.context.is_null() {
                return Err(out_of_memory());
            }
            sys::tn_format_prepare(self.context, self.io, reader::interrupt, self.reader.cast());
        }

        Ok(())
    }

    fn read_headers(&mut self) -> Result<(), Error> {
        let mut options = Options::new(&[
            (c"format_whitelist", CONTAINERS),
            (c"codec_whitelist", CODECS),
            // No protocols: all bytes come from the reader, whatever the file refers to.
            (c"protocol_whitelist", "none"),
            // Limits for probing, so that a file without headers does not read everything.
            (c"probesize", "2097152"),
            (c"analyzeduration", "2000000"),
            (c"max_streams", "64"),
        ]);

        // SAFETY: the context was allocated and not opened yet; on failure libav frees it and
        // writes null, which `Drop` accepts.
        let code = unsafe {
            sys::avformat_open_input(&raw mut self.context, null(), null(), &raw mut options.0)
        };
        self.check(
            code,
            ErrorKind::NotMedia,
            "the file is not a video in a supported container",
        )
    }

    fn best(&self) -> Result<Option<Stream>, Error> {
        // SAFETY: the context is open; a null decoder means that none is looked for.
        let index = unsafe {
            sys::av_find_best_stream(self.context, self.library.video, -1, -1, null_mut(), 0)
        };
        self.check_deadline()?;
        let found = u32::try_from(index)
            .ok()
            .and_then(|index| self.stream(index));
        Ok(found.filter(|stream| !stream.is_cover))
    }

    fn stream(&self, index: u32) -> Option<Stream> {
        let raw = self.raw_stream(index)?;
        let aspect = (raw.sample_aspect_num, raw.sample_aspect_den);
        Some(Stream {
            index,
            start: known_time(raw.start),
            duration: known_time(raw.duration).filter(|duration| *duration > 0),
            time_base: (raw.time_base_num.max(1), raw.time_base_den.max(1)),
            width: raw.width.max(0) as u32,
            height: raw.height.max(0) as u32,
            pixel_aspect: pixel_aspect(aspect),
            matrix: (raw.has_matrix != 0).then_some(raw.matrix),
            codec: raw.codec,
            is_known: raw.codec != self.library.codec_id_none && raw.width > 0 && raw.height > 0,
            is_cover: raw.is_cover != 0,
        })
    }

    fn raw_stream(&self, index: u32) -> Option<sys::Stream> {
        if index >= self.describe().streams {
            return None;
        }
        let mut raw = std::mem::MaybeUninit::uninit();
        // SAFETY: the context is open and has a stream of this index; the function writes the
        // whole struct.
        unsafe {
            sys::tn_stream_describe(self.context, index, raw.as_mut_ptr());
            Some(raw.assume_init())
        }
    }

    fn describe(&self) -> sys::Format {
        let mut format = std::mem::MaybeUninit::uninit();
        // SAFETY: the context is open and the function writes the whole struct.
        unsafe {
            sys::tn_format_describe(self.context, format.as_mut_ptr());
            format.assume_init()
        }
    }

    fn check(&mut self, code: c_int, kind: ErrorKind, message: &'static str) -> Result<(), Error> {
        self.take_source_error()?;
        if code >= 0 {
            return Ok(());
        }
        self.check_deadline()?;
        if code == self.library.error_memory {
            return Err(out_of_memory());
        }

        let cause = if is_end(code, self.library) {
            "the data ends too early"
        } else {
            "the data is damaged"
        };
        Err(Error::new(kind, message).with_source(cause))
    }

    /// Takes the error of the source, which is more precise than libav's error code.
    fn take_source_error(&mut self) -> Result<(), Error> {
        // SAFETY: no call into libav is running, so that no callback uses the reader.
        match unsafe { &mut *self.reader }.take_error() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        // SAFETY: each was allocated by the matching function and is freed once; null is allowed.
        // The container goes first, since it uses the io, which uses the reader.
        unsafe {
            sys::avformat_close_input(&raw mut self.context);
            sys::tn_io_free(self.io);
            drop(Box::from_raw(self.reader));
        }
    }
}

impl Stream {
    /// Returns the name of the codec in libav.
    pub(crate) fn codec_name(&self) -> String {
        // SAFETY: the function takes any number and returns static memory.
        unsafe { static_name(sys::avcodec_get_name(self.codec)) }
    }

    /// Converts ticks of this stream to microseconds.
    pub(crate) fn micros(&self, ticks: i64) -> i64 {
        let (num, den) = (i128::from(self.time_base.0), i128::from(self.time_base.1));
        round_div(i128::from(ticks) * num * i128::from(sys::TIME_BASE), den)
    }

    /// Converts microseconds to the tick of this stream that contains them.
    ///
    /// Times have microsecond precision, so a tick starts half a microsecond early: `0.333333` maps to
    /// the tick at a third of a second.
    pub(crate) fn ticks(&self, micros: i64) -> i64 {
        let (num, den) = (i128::from(self.time_base.0), i128::from(self.time_base.1));
        let half_micros = 2 * i128::from(micros) + 1;
        clamp((half_micros * den).div_euclid(2 * num * i128::from(sys::TIME_BASE)))
    }
}

/// Validates a pixel aspect ratio: both parts positive, not square, less than 10:1.
pub(super) fn pixel_aspect((num, den): (i32, i32)) -> Option<(u32, u32)> {
    let (num, den) = (u32::try_from(num).ok()?, u32::try_from(den).ok()?);
    let is_sane = num > 0 && den > 0 && num != den && num / den < 10 && den / num < 10;
    is_sane.then_some((num, den))
}

fn round_div(number: i128, by: i128) -> i64 {
    clamp((number + by / 2).div_euclid(by))
}

fn clamp(ticks: i128) -> i64 {
    // `i64::MIN` is `AV_NOPTS_VALUE`, an unknown time.
    ticks.clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64
}

/// The buffer of libav, in bytes; the window behind it requests more at a time.
const BUFFER: c_int = 32 * 1024;
