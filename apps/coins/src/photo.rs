//! Turns the bytes of a JPEG, PNG or WebP into an upright picture of working size, with its limits
//! checked before a pixel is decoded.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::Error;
use crate::raster::Raster;

/// A decoded photo.
#[derive(Debug)]
pub struct Photo {
    /// The width of the upright photo at full resolution.
    pub width: u32,
    /// The height of the upright photo at full resolution.
    pub height: u32,
    /// The EXIF orientation it was stored with, 1 to 8.
    pub orientation: u8,
    /// The upright photo with its long side at most [`WORKING_SIDE`].
    pub working: Raster,
    /// How many pixels of the full photo one of the working picture is.
    pub scale: f32,
}

/// What a picture may be at most before it is decoded.
#[derive(Debug, Clone, Copy)]
pub struct PhotoLimits {
    /// The most pixels a picture may have.
    pub max_pixels: u64,
    /// The most pixels one side may have.
    pub max_side_pixels: u32,
}

impl Default for PhotoLimits {
    fn default() -> Self {
        Self {
            max_pixels: 50_000_000,
            max_side_pixels: 16_384,
        }
    }
}

/// The long side of the picture in which coins are searched.
pub const WORKING_SIDE: usize = 1200;

/// The media types that are read.
pub const ACCEPTED: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// Decodes a photo.
pub fn decode(bytes: &[u8], limits: PhotoLimits) -> Result<Photo, Error> {
    let format = format(bytes)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::default();
    allowed.max_image_width = None;
    allowed.max_image_height = None;
    allowed.max_alloc = Some(limits.max_pixels.saturating_mul(8).saturating_add(SLACK));
    reader.limits(allowed);

    let mut decoder = reader.into_decoder().map_err(decode_error)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels || width.max(height) > limits.max_side_pixels {
        return Err(Error::TooLarge { width, height });
    }

    if format == ImageFormat::Jpeg && is_cut_off(bytes) {
        return Err(Error::Truncated);
    }

    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let rgb = DynamicImage::from_decoder(decoder)
        .map_err(decode_error)?
        .into_rgb8();
    let full = Raster::from_pixels(width as usize, height as usize, rgb.into_raw());
    let long = width.max(height) as f32;
    let working = apply_orientation(full.fit_within(WORKING_SIDE), orientation);
    let scale = long / working.width().max(working.height()) as f32;
    let turned = orientation.to_exif() > 4;
    let (width, height) = if turned {
        (height, width)
    } else {
        (width, height)
    };

    Ok(Photo {
        width,
        height,
        orientation: orientation.to_exif(),
        working,
        scale,
    })
}

fn apply_orientation(raster: Raster, orientation: Orientation) -> Raster {
    if orientation == Orientation::NoTransforms {
        return raster;
    }
    let (width, height) = (raster.width() as u32, raster.height() as u32);
    let Some(buffer) = image::RgbImage::from_raw(width, height, raster.pixels().to_vec()) else {
        return raster;
    };
    let mut picture = DynamicImage::ImageRgb8(buffer);
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Raster::from_pixels(width, height, picture.into_rgb8().into_raw())
}

fn format(bytes: &[u8]) -> Result<ImageFormat, Error> {
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) => Ok(format),
        Ok(other) => Err(Error::Unsupported {
            found: other.to_mime_type().to_owned(),
        }),
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => Err(Error::Unsupported {
            found: iso_media_type(bytes),
        }),
        Err(_) => Err(Error::NotAnImage),
    }
}

/// Names the kinds of ISO files people send by mistake.
fn iso_media_type(bytes: &[u8]) -> String {
    let name = match bytes.get(8..12) {
        Some(b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"heim" | b"heis") => "image/heic",
        Some(b"avif" | b"avis") => "image/avif",
        _ => "video/mp4",
    };
    name.to_owned()
}

/// The JPEG decoder fills what is missing with grey and reports nothing, so the end marker is
/// looked for here: after the first scan, since EXIF thumbnails carry one of their own.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        if kind == 0xda {
            return !bytes[at..]
                .windows(2)
                .rev()
                .any(|pair| pair == [0xff, 0xd9]);
        }
        at += if kind == 0xff {
            1
        } else {
            2 + usize::from(u16::from_be_bytes([high, low]))
        };
    }

    true
}

fn decode_error(error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Truncated
        }
        ImageError::Limits(_) => Error::TooLarge {
            width: 0,
            height: 0,
        },
        other if other.to_string().contains("unexpected end") => Error::Truncated,
        other => Error::Damaged {
            reason: other.to_string(),
        },
    }
}

const SLACK: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut picture = image::RgbImage::new(width, height);
        picture.put_pixel(0, 0, image::Rgb([255, 0, 0]));
        picture
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .unwrap();
        bytes
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::from_fn(width, height, |x, _| {
            image::Rgb(if x < width / 2 {
                [230, 20, 20]
            } else {
                [20, 20, 230]
            })
        });

        picture
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg)
            .unwrap();
        bytes
    }

    /// Puts an EXIF block with only an orientation behind the start marker.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut tiff = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let mut out = vec![0xff, 0xd8, 0xff, 0xe1];
        out.extend(u16::try_from(tiff.len() + 2).unwrap().to_be_bytes());
        out.extend(tiff);
        out.extend(&jpeg[2..]);
        out
    }

    #[test]
    fn shrinks_large_pictures_to_working_size() {
        let photo = decode(&png(2400, 1200), PhotoLimits::default()).unwrap();
        assert_eq!(
            (photo.width, photo.height, photo.orientation),
            (2400, 1200, 1)
        );
        assert_eq!((photo.working.width(), photo.working.height()), (1200, 600));
        assert!((photo.scale - 2.0).abs() < 1e-6);
    }

    #[test]
    fn applies_the_exif_orientation() {
        let photo = decode(&with_orientation(&jpeg(80, 40), 6), PhotoLimits::default()).unwrap();
        assert_eq!((photo.width, photo.height, photo.orientation), (40, 80, 6));
        let (top, bottom) = (photo.working.at(20, 10), photo.working.at(20, 70));
        assert!(
            top[0] > 150 && bottom[2] > 150,
            "red left side goes up: {top:?} {bottom:?}"
        );
    }

    #[test]
    fn rejects_pictures_over_the_limits_by_their_header() {
        let narrow = PhotoLimits {
            max_pixels: 99,
            max_side_pixels: 1000,
        };

        assert!(matches!(
            decode(&png(10, 10), narrow),
            Err(Error::TooLarge {
                width: 10,
                height: 10
            })
        ));

        let short = PhotoLimits {
            max_pixels: 1000,
            max_side_pixels: 9,
        };

        assert!(matches!(
            decode(&png(10, 10), short),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn distinguishes_truncated_pictures_from_other_files() {
        let limits = PhotoLimits::default();
        assert!(matches!(decode(b"coins", limits), Err(Error::NotAnImage)));
        assert!(matches!(decode(b"", limits), Err(Error::NotAnImage)));

        let whole = jpeg(200, 200);
        assert!(matches!(
            decode(&whole[..whole.len() / 2], limits),
            Err(Error::Truncated)
        ));

        let whole = png(200, 200);
        assert!(matches!(
            decode(&whole[..whole.len() / 2], limits),
            Err(Error::Truncated)
        ));
    }

    #[test]
    fn names_unsupported_formats() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let Err(Error::Unsupported { found }) = decode(heic, PhotoLimits::default()) else {
            panic!("a HEIC file is not read");
        };
        assert_eq!(found, "image/heic");
        let gif = decode(b"GIF89a\x01\0\x01\0", PhotoLimits::default());
        assert!(matches!(gif, Err(Error::Unsupported { found }) if found == "image/gif"));
    }
}
