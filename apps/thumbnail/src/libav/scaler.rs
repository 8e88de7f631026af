//! Scales a frame of any pixel format to an RGB picture.

use std::ffi::c_int;
use std::ptr::null_mut;

use super::{Frame, NO_FILTER, NO_PARAMETERS, library, sys};
use crate::frame::Pixels;
use crate::{Error, ErrorKind};

/// Scales a frame to `width` x `height` RGB pixels, using its colour matrix.
pub(crate) fn scale(frame: &Frame, width: u32, height: u32) -> Result<Pixels, Error> {
    let library = library()?;
    let refuse = || {
        Error::new(
            ErrorKind::Unsupported,
            "cannot convert the decoded picture to RGB",
        )
    };
    let raw = frame.describe();
    if raw.width <= 0 || raw.height <= 0 || width == 0 || height == 0 {
        return Err(refuse());
    }

    let context = Context::new(library, &raw, width, height).ok_or_else(refuse)?;
    context.set_colours(&raw);

    // Rows are padded, since swscale's vector code may write past the last pixel of a row.
    let row = width as usize * 3;
    let stride = row.next_multiple_of(64) + 64;
    let mut padded = allocate(stride * height as usize + 64)?;
    padded.resize(padded.capacity(), 0);
    let planes = [padded.as_mut_ptr(), null_mut(), null_mut(), null_mut()];
    let strides = [stride as c_int, 0, 0, 0];

    // SAFETY: the source planes and strides are those of a live frame of the size and format
    // that the context was made for; the one plane of RGB has room for every padded row.
    let rows = unsafe {
        sys::sws_scale(
            context.0,
            raw.data,
            raw.stride,
            0,
            raw.height,
            planes.as_ptr(),
            strides.as_ptr(),
        )
    };

    if u32::try_from(rows) != Ok(height) {
        return Err(refuse());
    }

    let mut rgb = allocate(row * height as usize)?;
    for line in padded.chunks_exact(stride).take(height as usize) {
        rgb.extend_from_slice(&line[..row]);
    }

    Ok(Pixels { width, height, rgb })
}

/// Reserves memory, which a limit of the process may refuse: `vec!` would end the process.
fn allocate(bytes: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(bytes)
        .map_err(|_| super::out_of_memory())?;
    Ok(buffer)
}

struct Context(*mut sys::SwsContext);

impl Context {
    /// Allocates a context; `None` if libav cannot convert the format or the size. All sizes must be positive.
    fn new(library: &sys::Constants, frame: &sys::Frame, width: u32, height: u32) -> Option<Self> {
        let width = c_int::try_from(width).ok()?;
        let height = c_int::try_from(height).ok()?;

        // SAFETY: plain allocation; the sizes are positive, unknown formats give null.
        let context = unsafe {
            sys::sws_getContext(
                frame.width,
                frame.height,
                frame.format,
                width,
                height,
                library.rgb24,
                library.bicubic | library.accurate,
                NO_FILTER,
                NO_FILTER,
                NO_PARAMETERS,
            )
        };
        (!context.is_null()).then_some(Self(context))
    }

    /// Sets the colour matrix; the default is the one of standard definition.
    fn set_colours(&self, frame: &sys::Frame) {
        let source = if frame.is_bt709 != 0 {
            sys::COEFFICIENTS_709
        } else if frame.is_bt2020 != 0 {
            sys::COEFFICIENTS_2020
        } else if frame.is_bt601 != 0 || frame.height < HIGH_DEFINITION {
            sys::COEFFICIENTS_601
        } else {
            sys::COEFFICIENTS_709
        };

        let full_range = 1;
        let neutral = 1 << 16;

        // SAFETY: the context is ours, the tables are static memory of libav. An error (the source
        // is already RGB) leaves the context unchanged.
        unsafe {
            sys::sws_setColorspaceDetails(
                self.0,
                sys::sws_getCoefficients(source),
                frame.is_full_range,
                sys::sws_getCoefficients(sys::COEFFICIENTS_709),
                full_range,
                0,
                neutral,
                neutral,
            );
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by `sws_getContext`, freed once.
        unsafe { sys::sws_freeContext(self.0) };
    }
}

/// The height from which BT.709 is assumed if the colour matrix is unknown, as players do.
const HIGH_DEFINITION: c_int = 720;
