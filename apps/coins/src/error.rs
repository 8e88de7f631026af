//! Errors of counting and serving.

use chassis::SettingsError;

use crate::photo::ACCEPTED;

/// The reason why a picture could not be counted, or the service not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a known kind of picture.
    #[error("this is not an image; send a photo as JPEG, PNG or WebP")]
    NotAnImage,
    /// The picture is incomplete.
    #[error("the image ends early; send the whole file")]
    Truncated,
    /// The picture is of a known kind that is not supported.
    #[error("`{found}` is not supported; export the photo as one of {}", ACCEPTED.join(", "))]
    Unsupported {
        /// The detected media type.
        found: String,
    },
    /// The picture has more pixels than the limit.
    #[error(
        "the image is {width} x {height} pixels, and the limit is {max_pixels} pixels with at most \
         {max_side_pixels} a side; send a smaller one"
    )]
    TooLarge {
        /// The width in its header.
        width: u32,
        /// The height in its header.
        height: u32,
        /// The maximum number of pixels.
        max_pixels: u64,
        /// The maximum width and height.
        max_side_pixels: u32,
    },
    /// Decoding the picture takes more memory than the limit.
    #[error(
        "decoding the image of {width} x {height} pixels takes {} MiB of memory, and the limit is {} MiB; \
         send a smaller one, or a JPEG that is not progressive", .bytes.div_ceil(MIB), .limit / MIB
    )]
    NeedsMemory {
        /// The width in its header.
        width: u32,
        /// The height in its header.
        height: u32,
        /// The memory it takes, in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The picture cannot be decoded.
    #[error("the image cannot be decoded ({reason}); export it again")]
    Damaged {
        /// The decoder's message.
        reason: String,
    },
    /// The settings of the service are invalid; contains every problem.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

const MIB: u64 = 1 << 20;
