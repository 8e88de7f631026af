//! An open container: its video stream, its packets.

use std::ffi::c_int;
use std::ptr::{null, null_mut};
use std::time::Instant;

use super::reader::{self, Reader};
use super::{CODECS, CONTAINERS, Options, is_end, known, library, static_name, sys};
use crate::{Error, Kind, RangeSource};

/// A container that is open for reading.
pub(crate) struct Media {
    context: *mut sys::AVFormatContext,
    io: *mut sys::AVIOContext,
    reader: *mut Reader,
    library: &'static sys::Constants,
}

/// What is known of a stream. Times are in ticks of `time_base`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) index: u32,
    pub(crate) start: Option<i64>,
    pub(crate) duration: Option<i64>,
    /// Seconds per tick, as a fraction.
    pub(crate) time_base: (i32, i32),
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Width to height of one pixel; `None` when square or unknown.
    pub(crate) pixel_aspect: Option<(u32, u32)>,
    /// A matrix of 16.16 fixed point numbers, row by row, that turns the picture upright.
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

    /// The container's name, as libav calls it.
    pub(crate) fn container(&self) -> String {
        // SAFETY: names of containers are constants of libav's.
        unsafe { static_name(self.describe().name) }
    }

    /// How long the container says it is, in microseconds.
    pub(crate) fn duration(&self) -> Option<i64> {
        known(self.describe().duration).filter(|duration| *duration > 0)
    }

    /// How many streams there are, as far as is known by now.
    pub(crate) fn streams(&self) -> usize {
        self.describe().streams as usize
    }

    /// The earliest time of all streams, in microseconds, if the headers say it for each.
    pub(crate) fn start(&self) -> Option<i64> {
        let format = self.describe();
        if let Some(start) = known(format.start) {
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

    /// The time of a packet of any stream, in microseconds.
    pub(crate) fn micros(&self, packet: &Packet) -> Option<i64> {
        let stream = self.stream(packet.stream())?;
        Some(stream.micros(packet.time()?))
    }

    /// The stream to take the picture from: moving pictures before covers.
    pub(crate) fn video(&mut self) -> Result<Stream, Error> {
        if let Some(stream) = self.best()?.filter(|stream| stream.is_known) {
            return Ok(stream);
        }

        // The headers do not say it (transport streams, some FLV): look at some packets.
        // SAFETY: the context is open; null options are allowed.
        let code = unsafe { sys::avformat_find_stream_info(self.context, null_mut()) };
        self.check(
            code,
            Kind::Damaged,
            "the streams of the file cannot be read",
        )?;

        if self.streams() == 0 {
            return Err(Error::new(
                Kind::Damaged,
                "the film says nothing of what is in it",
            ));
        }

        self.best()?
            .ok_or_else(|| Error::new(Kind::NoVideo, "there is no video in the file"))
    }

    /// Skips the packets of all other streams from now on.
    pub(crate) fn select(&mut self, stream: &Stream) {
        // SAFETY: the context is open and exclusively borrowed.
        unsafe { sys::tn_format_select(self.context, stream.index) };
    }

    /// Goes to the last place known to be at or before `time` (in ticks of the stream), else to
    /// the first one after it, else to the beginning.
    pub(crate) fn seek(&mut self, stream: &Stream, time: i64) -> Result<(), Error> {
        if stream.index >= self.describe().streams {
            return Ok(());
        }

        let tries = [
            (time, self.library.seek_backward),
            (time, 0),
            (0, self.library.seek_byte),
        ];

        for (place, flags) in tries {
            // SAFETY: the context is open and has a stream of this index.
            let code =
                unsafe { sys::av_seek_frame(self.context, stream.index as c_int, place, flags) };
            self.source_failure()?;
            if code >= 0 {
                break;
            }
        }

        Ok(())
    }

    /// The next packet, or `None` at the end (which is also where damaged data ends).
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        let packet = Packet::new()?;
        // SAFETY: the context is open, the packet is ours and empty.
        let code = unsafe { sys::av_read_frame(self.context, packet.raw) };
        self.source_failure()?;
        Ok((code >= 0).then_some(packet))
    }

    /// Fails when the deadline is over: for loops that decode without reading.
    pub(crate) fn in_time(&self) -> Result<(), Error> {
        // SAFETY: no call into libav is running, so that no callback uses the reader.
        unsafe { &*self.reader }.in_time()
    }

    pub(super) fn parameters(&self, stream: &Stream) -> Option<*const sys::AVCodecParameters> {
        Some(self.raw_stream(stream.index)?.parameters)
    }

    fn connect(&mut self) -> Result<(), Error> {
        let memory = || Error::new(Kind::WorkerLost, "there is no memory to open the file");
        // SAFETY: plain allocation.
        let buffer = unsafe { sys::av_malloc(BUFFER as usize) }.cast::<u8>();
        if buffer.is_null() {
            return Err(memory());
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
            return Err(memory());
        }

        // SAFETY: plain allocation, then fields of the new context are set.
        unsafe {
            self.context = sys::avformat_alloc_context();
            if self.context.is_null() {
                return Err(memory());
            }
            sys::tn_format_prepare(self.context, self.io, reader::interrupt, self.reader.cast());
        }

        Ok(())
    }

    fn read_headers(&mut self) -> Result<(), Error> {
        let mut options = Options::new(&[
            (c"format_whitelist", CONTAINERS),
            (c"codec_whitelist", CODECS),
            (c"protocol_whitelist", "none"),
            (c"probesize", "2097152"),
            (c"analyzeduration", "2000000"),
            (c"max_streams", "64"),
        ]);

        // SAFETY: the context was allocated and not opened yet; on failure libav frees it and
        // writes null, which `Drop` knows.
        let code = unsafe {
            sys::avformat_open_input(&raw mut self.context, null(), null(), &raw mut options.0)
        };
        self.check(
            code,
            Kind::NotMedia,
            "the file is not a video of a known container",
        )
    }

    fn best(&self) -> Result<Option<Stream>, Error> {
        // SAFETY: the context is open; a null decoder means that none is looked for.
        let index = unsafe {
            sys::av_find_best_stream(self.context, self.library.video, -1, -1, null_mut(), 0)
        };
        self.in_time()?;
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
            start: known(raw.start),
            duration: known(raw.duration).filter(|duration| *duration > 0),
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

    fn check(&mut self, code: c_int, kind: Kind, message: &'static str) -> Result<(), Error> {
        self.source_failure()?;
        if code >= 0 {
            return Ok(());
        }
        self.in_time()?;
        let reason = if is_end(code, self.library) {
            "it ends too early"
        } else {
            "it is damaged"
        };
        Err(Error::new(kind, message).because(reason))
    }

    /// The error of the source, which explains a failed call better than libav's number.
    fn source_failure(&mut self) -> Result<(), Error> {
        // SAFETY: no call into libav is running, so that no callback uses the reader.
        match unsafe { &mut *self.reader }.failure() {
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
    /// The codec's name, as libav calls it.
    pub(crate) fn codec_name(&self) -> String {
        // SAFETY: the function takes any number and returns static memory.
        unsafe { static_name(sys::avcodec_get_name(self.codec)) }
    }

    /// Ticks of this stream as microseconds.
    pub(crate) fn micros(&self, ticks: i64) -> i64 {
        let (num, den) = (i128::from(self.time_base.0), i128::from(self.time_base.1));
        round_div(i128::from(ticks) * num * i128::from(sys::TIME_BASE), den)
    }

    /// The tick of this stream that a moment lies in.
    ///
    /// Moments are written in microseconds at best, so a tick begins half of one early: a third of
    /// a second, written `0.333333`, is the tick at a third of a second.
    pub(crate) fn ticks(&self, micros: i64) -> i64 {
        let (num, den) = (i128::from(self.time_base.0), i128::from(self.time_base.1));
        let half_micros = 2 * i128::from(micros) + 1;
        clamp((half_micros * den).div_euclid(2 * num * i128::from(sys::TIME_BASE)))
    }
}

/// A piece of a stream, as the container holds it.
pub(crate) struct Packet {
    pub(super) raw: *mut sys::AVPacket,
}

impl Packet {
    fn new() -> Result<Self, Error> {
        // SAFETY: plain allocation.
        let raw = unsafe { sys::av_packet_alloc() };
        if raw.is_null() {
            return Err(Error::new(
                Kind::WorkerLost,
                "there is no memory to read the file",
            ));
        }
        Ok(Self { raw })
    }

    /// When it is shown, or else when it is decoded, in ticks of its stream.
    pub(crate) fn time(&self) -> Option<i64> {
        let packet = self.describe();
        known(packet.pts).or(known(packet.dts))
    }

    /// When what it holds is over, in ticks of its stream.
    pub(crate) fn end(&self) -> Option<i64> {
        self.time()?.checked_add(self.describe().duration.max(0))
    }

    /// Whether decoding can start with it.
    pub(crate) fn is_key(&self) -> bool {
        self.describe().is_key != 0
    }

    /// The index of its stream.
    pub(crate) fn stream(&self) -> u32 {
        self.describe().stream.max(0) as u32
    }

    pub(crate) fn is_of(&self, stream: &Stream) -> bool {
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

/// A fraction that says something: both parts positive, not square, not absurd.
pub(super) fn pixel_aspect((num, den): (i32, i32)) -> Option<(u32, u32)> {
    let (num, den) = (u32::try_from(num).ok()?, u32::try_from(den).ok()?);
    let is_sane = num > 0 && den > 0 && num != den && num / den < 10 && den / num < 10;
    is_sane.then_some((num, den))
}

fn round_div(number: i128, by: i128) -> i64 {
    clamp((number + by / 2).div_euclid(by))
}

fn clamp(ticks: i128) -> i64 {
    // The smallest number of all stands for a time that is not known.
    ticks.clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX)) as i64
}

/// One read of libav's; the window behind it reads more at a time.
const BUFFER: c_int = 32 * 1024;
