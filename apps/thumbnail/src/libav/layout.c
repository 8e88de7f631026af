/* Accesses the fields of libav's structures for Rust.
 *
 * libav's functions keep their signatures across major versions, but its structures change their
 * layout. So Rust calls the functions directly and leaves the structures to this file, which is
 * compiled against the installed headers. Each `tn_*` struct has a counterpart in `sys.rs`; change
 * both. There are no allocations and no logic here.
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdint.h>
#include <string.h>

/* Since libavcodec 60.30, a stream's side data is in its codec parameters. */
#define SIDE_DATA_IN_PARAMETERS (LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100))
/* Since libavutil 58.7, keyframes are marked by a flag instead of a field. */
#define KEY_IS_A_FLAG (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100))

struct tn_constants {
    uint32_t avcodec_major, avformat_major, avutil_major, swscale_major;
    int32_t error_eof, error_again, error_invalid_data, error_decoder_not_found, error_exit, error_io,
        error_memory;
    int32_t video, rgb24, bicubic, accurate, seek_backward, seek_byte;
    int32_t codec_id_none;
};

void tn_constants(struct tn_constants *out) {
    *out = (struct tn_constants){
        .avcodec_major = LIBAVCODEC_VERSION_MAJOR,
        .avformat_major = LIBAVFORMAT_VERSION_MAJOR,
        .avutil_major = LIBAVUTIL_VERSION_MAJOR,
        .swscale_major = LIBSWSCALE_VERSION_MAJOR,
        .error_eof = AVERROR_EOF,
        .error_again = AVERROR(EAGAIN),
        .error_invalid_data = AVERROR_INVALIDDATA,
        .error_decoder_not_found = AVERROR_DECODER_NOT_FOUND,
        .error_exit = AVERROR_EXIT,
        .error_io = AVERROR(EIO),
        .error_memory = AVERROR(ENOMEM),
        .video = AVMEDIA_TYPE_VIDEO,
        .rgb24 = AV_PIX_FMT_RGB24,
        .bicubic = SWS_BICUBIC,
        .accurate = SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT,
        .seek_backward = AVSEEK_FLAG_BACKWARD,
        .seek_byte = AVSEEK_FLAG_BYTE,
        .codec_id_none = AV_CODEC_ID_NONE,
    };
}

/* Refuses every nested open, so that a file cannot refer to another one. */
static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EACCES);
}

void tn_format_prepare(AVFormatContext *format, AVIOContext *io, int (*interrupt)(void *),
                       void *opaque) {
    format->pb = io;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->io_open = refuse_open;
    format->interrupt_callback.callback = interrupt;
    format->interrupt_callback.opaque = opaque;
}

/* Frees the current buffer; libav may have replaced the original one. */
void tn_io_free(AVIOContext *io) {
    if (!io) return;
    av_freep(&io->buffer);
    avio_context_free(&io);
}

/* Allocates a picture as usual, and notes a failure: decoders may skip such a picture silently. */
static int allocate_picture(AVCodecContext *codec, AVFrame *frame, int flags) {
    int code = avcodec_default_get_buffer2(codec, frame, flags);
    if (code == AVERROR(ENOMEM)) *(int32_t *)codec->opaque = 1;
    return code;
}

void tn_codec_watch_memory(AVCodecContext *codec, int32_t *is_out_of_memory) {
    codec->opaque = is_out_of_memory;
    codec->get_buffer2 = allocate_picture;
}

struct tn_format {
    const char *name;
    int64_t duration, start; /* in AV_TIME_BASE; AV_NOPTS_VALUE when unknown */
    uint32_t streams;
};

void tn_format_describe(const AVFormatContext *format, struct tn_format *out) {
    *out = (struct tn_format){
        .name = format->iformat->name,
        .duration = format->duration,
        .start = format->start_time,
        .streams = format->nb_streams,
    };
}

struct tn_stream {
    const AVCodecParameters *parameters;
    int64_t duration, start; /* in the time base; AV_NOPTS_VALUE when unknown */
    int32_t time_base_num, time_base_den;
    int32_t kind, codec, width, height;
    int32_t sample_aspect_num, sample_aspect_den;
    int32_t is_cover;
    int32_t has_matrix;
    int32_t matrix[9];
};

static const uint8_t *display_matrix(const AVStream *stream) {
    size_t size = 0;
    const uint8_t *data = NULL;
#if SIDE_DATA_IN_PARAMETERS
    const AVPacketSideData *found =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
                                stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (found) data = found->data, size = found->size;
#else
    data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
    return size >= 9 * sizeof(int32_t) ? data : NULL;
}

/* `index` must be less than `streams`. */
void tn_stream_describe(const AVFormatContext *format, uint32_t index, struct tn_stream *out) {
    const AVStream *stream = format->streams[index];
    const AVCodecParameters *parameters = stream->codecpar;
    AVRational aspect = stream->sample_aspect_ratio.num ? stream->sample_aspect_ratio
                                                        : parameters->sample_aspect_ratio;
    *out = (struct tn_stream){
        .parameters = parameters,
        .duration = stream->duration,
        .start = stream->start_time,
        .time_base_num = stream->time_base.num,
        .time_base_den = stream->time_base.den,
        .kind = parameters->codec_type,
        .codec = parameters->codec_id,
        .width = parameters->width,
        .height = parameters->height,
        .sample_aspect_num = aspect.num,
        .sample_aspect_den = aspect.den,
        .is_cover = (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0,
    };
    const uint8_t *matrix = display_matrix(stream);
    if (matrix) {
        out->has_matrix = 1;
        memcpy(out->matrix, matrix, sizeof out->matrix);
    }
}

/* Makes the demuxer discard the packets of all streams but `index`. */
void tn_format_select(AVFormatContext *format, uint32_t index) {
    for (unsigned i = 0; i < format->nb_streams; i++)
        format->streams[i]->discard = i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
}

struct tn_packet {
    int64_t pts, dts, duration; /* AV_NOPTS_VALUE when unknown */
    int32_t stream, is_key;
};

void tn_packet_describe(const AVPacket *packet, struct tn_packet *out) {
    *out = (struct tn_packet){
        .pts = packet->pts,
        .dts = packet->dts,
        .duration = packet->duration,
        .stream = packet->stream_index,
        .is_key = (packet->flags & AV_PKT_FLAG_KEY) != 0,
    };
}

struct tn_frame {
    const uint8_t *const *data;
    const int32_t *stride;
    int64_t pts;
    int32_t width, height, format;
    int32_t is_key, is_bt709, is_bt601, is_bt2020, is_full_range;
    int32_t sample_aspect_num, sample_aspect_den;
};

void tn_frame_describe(const AVFrame *frame, struct tn_frame *out) {
    *out = (struct tn_frame){
        .data = (const uint8_t *const *)frame->data,
        .stride = frame->linesize,
        .pts = frame->best_effort_timestamp,
        .width = frame->width,
        .height = frame->height,
        .format = frame->format,
#if KEY_IS_A_FLAG
        .is_key = (frame->flags & AV_FRAME_FLAG_KEY) != 0,
#else
        .is_key = frame->key_frame,
#endif
        .is_bt709 = frame->colorspace == AVCOL_SPC_BT709,
        .is_bt601 = frame->colorspace == AVCOL_SPC_BT470BG ||
                    frame->colorspace == AVCOL_SPC_SMPTE170M ||
                    frame->colorspace == AVCOL_SPC_FCC,
        .is_bt2020 = frame->colorspace == AVCOL_SPC_BT2020_NCL ||
                     frame->colorspace == AVCOL_SPC_BT2020_CL,
        .is_full_range = frame->color_range == AVCOL_RANGE_JPEG,
        .sample_aspect_num = frame->sample_aspect_ratio.num,
        .sample_aspect_den = frame->sample_aspect_ratio.den,
    };
}
