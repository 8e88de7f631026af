//! Why a picture gave no answer.

use crate::photo::ACCEPTED;

/// Why a picture gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no picture of a kind that is known.
    #[error("this is not an image; send a photo as JPEG, PNG or WebP")]
    NotAnImage,
    /// The picture ends before its end.
    #[error("the image ends early; send the whole file")]
    Truncated,
    /// The picture is of a kind that is known and not read.
    #[error("`{found}` is not read here; export the photo as one of {}", ACCEPTED.join(", "))]
    Unsupported {
        /// The media type that was found.
        found: String,
    },
    /// The picture has more pixels than are decoded.
    #[error("the image is {width} x {height} pixels, which is over the limit; send a smaller one")]
    TooLarge {
        /// The width its header gives.
        width: u32,
        /// The height its header gives.
        height: u32,
    },
    /// The picture cannot be decoded.
    #[error("the image cannot be decoded ({reason}); export it again")]
    Damaged {
        /// What the decoder said.
        reason: String,
    },
}
