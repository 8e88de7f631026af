//! Declarations of libav's functions, and the plain structs that `layout.c` fills in. libav's
//! structures are opaque here.

use std::ffi::{c_char, c_double, c_int, c_uint, c_void};

macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[repr(C)]
        pub(super) struct $name {
            _opaque: [u8; 0],
            _neither_send_nor_moved: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
        }
    )*};
}

opaque! {
    AVCodec AVCodecContext AVCodecParameters AVDictionary AVFormatContext AVFrame AVInputFormat
    AVIOContext AVPacket SwsContext SwsFilter
}

/// `AV_NOPTS_VALUE`: an unknown time.
pub(super) const NO_TIME: i64 = i64::MIN;
/// Container times are in microseconds.
pub(super) const TIME_BASE: i64 = 1_000_000;
/// The values `sws_getCoefficients` takes: `SWS_CS_ITU709`, `SWS_CS_ITU601`, `SWS_CS_BT2020`.
pub(super) const COEFFICIENTS_709: c_int = 1;
pub(super) const COEFFICIENTS_601: c_int = 5;
pub(super) const COEFFICIENTS_2020: c_int = 9;
/// `AV_LOG_QUIET`.
pub(super) const LOG_QUIET: c_int = -8;
/// `whence` values of a seek callback besides `SEEK_SET`, `SEEK_CUR` and `SEEK_END`.
pub(super) const SEEK_SIZE: c_int = 0x10000;
pub(super) const SEEK_FORCE: c_int = 0x20000;

pub(super) type ReadCallback = unsafe extern "C" fn(*mut c_void, *mut u8, c_int) -> c_int;
pub(super) type SeekCallback = unsafe extern "C" fn(*mut c_void, i64, c_int) -> i64;
pub(super) type InterruptCallback = unsafe extern "C" fn(*mut c_void) -> c_int;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_field_names, reason = "mirrors a C struct")]
pub(super) struct Constants {
    pub(super) avcodec_major: u32,
    pub(super) avformat_major: u32,
    pub(super) avutil_major: u32,
    pub(super) swscale_major: u32,
    pub(super) error_eof: c_int,
    pub(super) error_again: c_int,
    pub(super) error_invalid_data: c_int,
    pub(super) error_decoder_not_found: c_int,
    pub(super) error_exit: c_int,
    pub(super) error_io: c_int,
    pub(super) error_memory: c_int,
    pub(super) video: c_int,
    pub(super) rgb24: c_int,
    pub(super) bicubic: c_int,
    pub(super) accurate: c_int,
    pub(super) seek_backward: c_int,
    pub(super) seek_byte: c_int,
    pub(super) codec_id_none: c_int,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) name: *const c_char,
    pub(super) duration: i64,
    pub(super) start: i64,
    pub(super) streams: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    pub(super) parameters: *const AVCodecParameters,
    pub(super) duration: i64,
    pub(super) start: i64,
    pub(super) time_base_num: i32,
    pub(super) time_base_den: i32,
    pub(super) kind: i32,
    pub(super) codec: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) sample_aspect_num: i32,
    pub(super) sample_aspect_den: i32,
    pub(super) is_cover: i32,
    pub(super) has_matrix: i32,
    pub(super) matrix: [i32; 9],
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Packet {
    pub(super) pts: i64,
    pub(super) dts: i64,
    pub(super) duration: i64,
    pub(super) stream: i32,
    pub(super) is_key: i32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) data: *const *const u8,
    pub(super) stride: *const c_int,
    pub(super) pts: i64,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) format: i32,
    pub(super) is_key: i32,
    pub(super) is_bt709: i32,
    pub(super) is_bt601: i32,
    pub(super) is_bt2020: i32,
    pub(super) is_full_range: i32,
    pub(super) sample_aspect_num: i32,
    pub(super) sample_aspect_den: i32,
}

// layout.c
unsafe extern "C" {
    pub(super) fn tn_constants(out: *mut Constants);
    pub(super) fn tn_format_prepare(
        format: *mut AVFormatContext,
        io: *mut AVIOContext,
        interrupt: InterruptCallback,
        opaque: *mut c_void,
    );
    pub(super) fn tn_codec_watch_memory(context: *mut AVCodecContext, is_out_of_memory: *mut i32);
    pub(super) fn tn_io_free(io: *mut AVIOContext);
    pub(super) fn tn_format_describe(format: *const AVFormatContext, out: *mut Format);
    pub(super) fn tn_stream_describe(
        format: *const AVFormatContext,
        index: c_uint,
        out: *mut Stream,
    );
    pub(super) fn tn_format_select(format: *mut AVFormatContext, index: c_uint);
    pub(super) fn tn_packet_describe(packet: *const AVPacket, out: *mut Packet);
    pub(super) fn tn_frame_describe(frame: *const AVFrame, out: *mut Frame);
}

// libavutil
unsafe extern "C" {
    pub(super) fn avutil_version() -> c_uint;
    pub(super) fn av_log_set_level(level: c_int);
    pub(super) fn av_malloc(size: usize) -> *mut c_void;
    pub(super) fn av_free(pointer: *mut c_void);
    pub(super) fn av_dict_set(
        dictionary: *mut *mut AVDictionary,
        key: *const c_char,
        value: *const c_char,
        flags: c_int,
    ) -> c_int;
    pub(super) fn av_dict_free(dictionary: *mut *mut AVDictionary);
    pub(super) fn av_frame_alloc() -> *mut AVFrame;
    pub(super) fn av_frame_free(frame: *mut *mut AVFrame);
}

// libavformat
unsafe extern "C" {
    pub(super) fn avformat_version() -> c_uint;
    pub(super) fn avio_alloc_context(
        buffer: *mut u8,
        size: c_int,
        write: c_int,
        opaque: *mut c_void,
        read_packet: Option<ReadCallback>,
        write_packet: Option<ReadCallback>,
        seek: Option<SeekCallback>,
    ) -> *mut AVIOContext;
    pub(super) fn avformat_alloc_context() -> *mut AVFormatContext;
    pub(super) fn avformat_open_input(
        context: *mut *mut AVFormatContext,
        url: *const c_char,
        format: *const AVInputFormat,
        options: *mut *mut AVDictionary,
    ) -> c_int;
    pub(super) fn avformat_close_input(context: *mut *mut AVFormatContext);
    pub(super) fn avformat_find_stream_info(
        context: *mut AVFormatContext,
        options: *mut *mut AVDictionary,
    ) -> c_int;
    pub(super) fn av_find_best_stream(
        context: *mut AVFormatContext,
        kind: c_int,
        wanted: c_int,
        related: c_int,
        decoder: *mut *const AVCodec,
        flags: c_int,
    ) -> c_int;
    pub(super) fn av_read_frame(context: *mut AVFormatContext, packet: *mut AVPacket) -> c_int;
    pub(super) fn av_seek_frame(
        context: *mut AVFormatContext,
        stream: c_int,
        timestamp: i64,
        flags: c_int,
    ) -> c_int;
}

// libavcodec
unsafe extern "C" {
    pub(super) fn avcodec_version() -> c_uint;
    pub(super) fn avcodec_find_decoder(codec: c_int) -> *const AVCodec;
    pub(super) fn avcodec_get_name(codec: c_int) -> *const c_char;
    pub(super) fn avcodec_alloc_context3(codec: *const AVCodec) -> *mut AVCodecContext;
    pub(super) fn avcodec_free_context(context: *mut *mut AVCodecContext);
    pub(super) fn avcodec_parameters_to_context(
        context: *mut AVCodecContext,
        parameters: *const AVCodecParameters,
    ) -> c_int;
    pub(super) fn avcodec_open2(
        context: *mut AVCodecContext,
        codec: *const AVCodec,
        options: *mut *mut AVDictionary,
    ) -> c_int;
    pub(super) fn avcodec_send_packet(
        context: *mut AVCodecContext,
        packet: *const AVPacket,
    ) -> c_int;
    pub(super) fn avcodec_receive_frame(context: *mut AVCodecContext, frame: *mut AVFrame)
    -> c_int;
    pub(super) fn avcodec_flush_buffers(context: *mut AVCodecContext);
    pub(super) fn av_packet_alloc() -> *mut AVPacket;
    pub(super) fn av_packet_free(packet: *mut *mut AVPacket);
}

// libswscale
unsafe extern "C" {
    pub(super) fn swscale_version() -> c_uint;
    pub(super) fn sws_getContext(
        source_width: c_int,
        source_height: c_int,
        source_format: c_int,
        width: c_int,
        height: c_int,
        format: c_int,
        flags: c_int,
        source_filter: *mut SwsFilter,
        filter: *mut SwsFilter,
        parameters: *const c_double,
    ) -> *mut SwsContext;
    pub(super) fn sws_freeContext(context: *mut SwsContext);
    pub(super) fn sws_getCoefficients(colorspace: c_int) -> *const c_int;
    pub(super) fn sws_setColorspaceDetails(
        context: *mut SwsContext,
        source_table: *const c_int,
        source_range: c_int,
        table: *const c_int,
        range: c_int,
        brightness: c_int,
        contrast: c_int,
        saturation: c_int,
    ) -> c_int;
    pub(super) fn sws_scale(
        context: *mut SwsContext,
        source: *const *const u8,
        source_stride: *const c_int,
        first_row: c_int,
        rows: c_int,
        out: *const *mut u8,
        out_stride: *const c_int,
    ) -> c_int;
}
