//! A safe interface to libav: containers, packets, decoders, frames, scaling.
//!
//! This is the only module with `unsafe` code. Its types own libav's allocations and free them when
//! dropped; no libav memory is reachable afterwards. The interface is sound: safe code cannot cause
//! undefined behaviour through it.
//!
//! - [`sys`] declares the functions, `layout.c` reads and writes the structures.
//! - [`reader`] supplies libav with bytes of a [`RangeSource`](crate::RangeSource), never through
//!   libav's protocols.
//! - [`media`] opens and reads a container, [`decoder`] turns packets into frames, [`scaler`]
//!   turns a frame into a small RGB picture.
//!
//! Files are untrusted. Containers and codecs are allowlists ([`CONTAINERS`], [`CODECS`]); nested
//! opens are refused; decoders get one thread and a pixel limit; every read checks the deadline.
#![allow(
    unsafe_code,
    reason = "the only module that calls C; each block has a safety comment"
)]

mod decoder;
mod media;
mod packet;
mod reader;
mod scaler;
mod sys;

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

pub(crate) use decoder::{Decoder, Frame};
pub(crate) use media::{Media, Stream};
pub(crate) use packet::Packet;
pub(crate) use scaler::scale;

use crate::{Error, ErrorKind};

/// The supported containers, by libav's names. Formats that can refer to other files or URLs
/// (playlists, concat scripts, SDP, image sequences) are excluded on purpose.
const CONTAINERS: &str =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,mxf,dv,ivf,gif";

/// The supported decoders, by libav's names.
const CODECS: &str = "h264,hevc,vp8,vp9,libdav1d,libaom-av1,mpeg1video,mpeg2video,mpeg4,\
    msmpeg4v1,msmpeg4v2,msmpeg4,h263,flv,prores,dnxhd,mjpeg,vc1,wmv1,wmv2,wmv3,theora,dvvideo,\
    gif,rawvideo,ffv1,png,cinepak,svq1,svq3,vp6,vp6a,vp6f";

/// Checks once that the loaded libav is the one this program was compiled against.
///
/// Within a major version structures only grow at their end, so comparing major versions is enough.
fn library() -> Result<&'static sys::Constants, Error> {
    static LIBRARY: OnceLock<Result<sys::Constants, String>> = OnceLock::new();

    LIBRARY
        .get_or_init(|| {
            let mut constants = sys::Constants::default();
            // SAFETY: the pointer is to a struct of the layout that the function writes.
            unsafe { sys::tn_constants(&raw mut constants) };

            // SAFETY: these functions read a constant of the loaded library and the log level is
            // an atomic of libav.
            let loaded = unsafe {
                sys::av_log_set_level(sys::LOG_QUIET);
                [
                    ("avcodec", constants.avcodec_major, sys::avcodec_version()),
                    (
                        "avformat",
                        constants.avformat_major,
                        sys::avformat_version(),
                    ),
                    ("avutil", constants.avutil_major, sys::avutil_version()),
                    ("swscale", constants.swscale_major, sys::swscale_version()),
                ]
            };

            for (name, compiled, version) in loaded {
                if version >> 16 != compiled {
                    return Err(format!(
                        "lib{name} {} is loaded, but {compiled} is required; rebuild `thumbnail`",
                        version >> 16
                    ));
                }
            }
            Ok(constants)
        })
        .as_ref()
        .map_err(|message| Error::new(ErrorKind::Unsupported, message.clone()))
}

/// Returns the name and major version of the loaded decoding library.
pub(crate) fn version() -> Result<String, Error> {
    Ok(format!("libavcodec {}", library()?.avcodec_major))
}

/// An options dictionary of libav, freed when dropped.
struct Options(*mut sys::AVDictionary);

impl Options {
    fn new(pairs: &[(&CStr, &str)]) -> Self {
        let mut options = Self(null_mut());
        for (key, value) in pairs {
            // The values are constants and numbers, which contain no zero byte.
            let Ok(value) = CString::new(*value) else {
                continue;
            };
            // SAFETY: `options.0` is null or a dictionary of libav's; both strings are
            // zero-terminated and copied by the call.
            unsafe { sys::av_dict_set(&raw mut options.0, key.as_ptr(), value.as_ptr(), 0) };
        }
        options
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the dictionary was made by `av_dict_set` and is freed once; null is allowed.
        unsafe { sys::av_dict_free(&raw mut self.0) };
    }
}

/// Copies a name that libav holds in static memory.
///
/// # Safety
/// `name` is null or zero-terminated, and is never freed.
unsafe fn static_name(name: *const c_char) -> String {
    if name.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: guaranteed by the caller, and null is excluded above.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

fn known_time(time: i64) -> Option<i64> {
    (time != sys::NO_TIME).then_some(time)
}

/// The error for memory that libav or a picture cannot have: the limit of the decoding process, or the system's.
fn out_of_memory() -> Error {
    let message = "decoding the video needs more memory than `max_decoder_memory_bytes` allows";
    Error::new(ErrorKind::Unsupported, message)
}

/// Returns whether a return code means the end of the stream.
fn is_end(code: c_int, library: &sys::Constants) -> bool {
    code == library.error_eof
}

const NO_FILTER: *mut sys::SwsFilter = null_mut();
const NO_PARAMETERS: *const f64 = null();

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the values of an option of the static build, such as `--enable-decoder=`.
    fn option_values(option: &str) -> BTreeSet<&'static str> {
        include_str!("../../libav/ffmpeg.options")
            .lines()
            .filter_map(|line| line.strip_prefix(option))
            .flat_map(|values| values.split(','))
            .collect()
    }

    #[test]
    fn the_static_build_has_all_supported_decoders() {
        let supported = CODECS
            .split(',')
            // One AV1 decoder is enough.
            .filter(|name| *name != "libaom-av1")
            // The name in `configure`.
            .map(|name| if name == "msmpeg4" { "msmpeg4v3" } else { name });
        assert_eq!(option_values("--enable-decoder="), supported.collect());
    }

    #[test]
    fn the_static_build_has_all_supported_containers() {
        // The names of a demuxer that has several, and those that `configure` names differently.
        let containers = CONTAINERS.split(',').map(|name| match name {
            "mp4" | "m4a" | "3gp" | "3g2" | "mj2" => "mov",
            "webm" => "matroska",
            "mpeg" => "mpegps",
            name => name,
        });
        // Named by `set_codec_from_probe_data` of libavformat: they detect the codec of a stream.
        let probes = "aac,ac3,dts,eac3,h264,hevc,loas,m4v,mp3,mpegvideo,truehd".split(',');
        let supported = containers.chain(probes);
        assert_eq!(option_values("--enable-demuxer="), supported.collect());
    }

    #[test]
    fn the_static_build_has_no_parts_under_the_gpl() {
        let options = include_str!("../../libav/ffmpeg.options");
        let options = options.lines().filter(|line| !line.starts_with('#'));
        let forbidden = ["--enable-gpl", "--enable-nonfree", "--enable-version3"];
        assert!(options.clone().count() > 10);
        assert!(!options.clone().any(|line| forbidden.contains(&line)));
    }
}
