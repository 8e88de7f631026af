//! Encodes pixels as JPEG or PNG.

use image::ExtendedColorType::Rgb8;
use image::ImageEncoder as _;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::Pixels;
use crate::{Error, ErrorKind};

/// The image format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Small and lossy: for photographs and videos.
    Jpeg,
    /// Lossless: for drawings and screens.
    Png,
}

impl Format {
    /// Returns the format for the extension of a file name, or `None` if it has none.
    pub fn from_file_name(name: &str) -> Result<Option<Self>, Error> {
        let file = name.rsplit('/').next().unwrap_or_default();
        // The name of a hidden file begins with a dot and has no extension.
        let Some((_, extension)) = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())
        else {
            return Ok(None);
        };

        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Ok(Some(Self::Jpeg)),
            "png" => Ok(Some(Self::Png)),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "unknown extension `.{extension}` of the output; use `.jpg` or `.png`, or set `format`"
                ),
            )),
        }
    }

    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.to_ascii_lowercase().as_str() {
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("unknown format `{text}`; use `jpeg` or `png`"),
            )),
        }
    }
}

/// Encodes a picture; `quality` (1 to 100) applies to JPEG.
pub(crate) fn encode(pixels: &Pixels, format: Format, quality: u8) -> Result<Vec<u8>, Error> {
    // `quality` is clamped, since library callers may pass any value.
    let mut bytes = Vec::new();
    let (width, height) = (pixels.width, pixels.height);
    let written = match format {
        Format::Jpeg => JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
            .write_image(&pixels.rgb, width, height, Rgb8),
        Format::Png => PngEncoder::new(&mut bytes).write_image(&pixels.rgb, width, height, Rgb8),
    };
    written.map_err(|error| {
        Error::new(ErrorKind::Encode, "cannot encode the picture").with_source(error)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> Pixels {
        let rgb = (0..64u32 * 48).flat_map(|at| [(at % 64 * 4) as u8, (at / 64 * 5) as u8, 90]);
        Pixels {
            width: 64,
            height: 48,
            rgb: rgb.collect(),
        }
    }

    #[test]
    fn png_is_lossless() {
        let bytes = encode(&gradient(), Format::Png, 0).unwrap();
        let back = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(back.into_raw(), gradient().rgb);
    }

    #[test]
    fn jpeg_is_close_and_grows_with_quality() {
        let good = encode(&gradient(), Format::Jpeg, 90).unwrap();
        let poor = encode(&gradient(), Format::Jpeg, 20).unwrap();
        assert!(poor.len() < good.len());

        // Chroma is quantized even at high quality, so pixels differ slightly.
        let back = image::load_from_memory(&good).unwrap().to_rgb8().into_raw();
        let worst = back
            .iter()
            .zip(&gradient().rgb)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap();
        assert!(worst < 24, "{worst}");
    }

    #[test]
    fn derives_the_format_from_the_extension() {
        for (name, format) in [
            ("a/b.JPG", Some(Format::Jpeg)),
            ("b.png", Some(Format::Png)),
            ("png", None),
            ("a.b/c", None),
            (".hidden", None),
        ] {
            assert_eq!(Format::from_file_name(name).unwrap(), format, "{name}");
        }
    }

    #[test]
    fn refuses_an_unknown_extension() {
        for name in ["a.webp", "a.jpg.tmp", "a."] {
            let error = Format::from_file_name(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
        }
    }
}
