//! Decodes a JPEG, PNG or WebP into an upright picture of working size. Limits are checked before
//! any pixel is decoded.

mod memory;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::Error;
use crate::raster::Raster;
use memory::{DecodingCost, METADATA_BYTES};

/// A decoded photo.
#[derive(Debug)]
pub struct Photo {
    /// The width of the upright photo at full resolution.
    pub width: u32,
    /// The height of the upright photo at full resolution.
    pub height: u32,
    /// The stored EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// The upright photo with its long side at most [`WORKING_SIDE`].
    pub working: Raster,
    /// Number of pixels of the full photo per pixel of the working picture.
    pub scale: f32,
}

/// Limits that are checked before decoding.
#[derive(Debug, Clone, Copy)]
pub struct PhotoLimits {
    /// Maximum number of pixels.
    pub max_pixels: u64,
    /// Maximum width and height in pixels.
    pub max_side_pixels: u32,
    /// Maximum memory for decoding, in bytes.
    pub max_memory_bytes: u64,
}

impl Default for PhotoLimits {
    fn default() -> Self {
        Self {
            max_pixels: 50_000_000,
            max_side_pixels: 16_384,
            max_memory_bytes: 368 << 20,
        }
    }
}

/// The long side of the picture in which coins are detected.
pub const WORKING_SIDE: usize = 1200;

/// Supported media types.
pub const ACCEPTED: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// Returns the memory that decoding a photo takes, in bytes, from its header; checks the limits.
///
/// A file of a few kilobytes can take hundreds of megabytes: a progressive JPEG is collected as a whole, with up to six
/// bytes per pixel, before its first pixel is decoded.
pub fn decoding_bytes(bytes: &[u8], limits: PhotoLimits) -> Result<u64, Error> {
    let cost = DecodingCost::from_header(bytes, format(bytes)?)?;
    check_size((cost.width, cost.height), limits)?;
    if cost.bytes > limits.max_memory_bytes {
        return Err(Error::NeedsMemory {
            width: cost.width,
            height: cost.height,
            bytes: cost.bytes,
            limit: limits.max_memory_bytes,
        });
    }
    Ok(cost.bytes)
}

/// Decodes a photo.
pub fn decode(bytes: &[u8], limits: PhotoLimits) -> Result<Photo, Error> {
    let format = format(bytes)?;
    decoding_bytes(bytes, limits)?;

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // The pixels are counted above; this limits what the decoders allocate besides.
    let mut allowed = image::Limits::default();
    allowed.max_image_width = None;
    allowed.max_image_height = None;
    allowed.max_alloc = Some(METADATA_BYTES);
    reader.limits(allowed);

    let mut decoder = reader.into_decoder().map_err(decode_error)?;
    // Again, because a damaged header may read differently there.
    let (width, height) = decoder.dimensions();
    check_size((width, height), limits)?;

    // Before decoding, which would return a picture with a grey lower part.
    if format == ImageFormat::Jpeg && is_cut_off(bytes) {
        return Err(Error::Truncated);
    }

    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let rgb = DynamicImage::from_decoder(decoder)
        .map_err(decode_error)?
        .into_rgb8();
    let full = Raster::from_pixels(width as usize, height as usize, rgb.into_raw());
    let long = width.max(height) as f32;
    // Shrunk before it is rotated: rotating the full picture would double the memory.
    let working = apply_orientation(full.fit_within(WORKING_SIDE), orientation);
    let scale = long / working.width().max(working.height()) as f32;
    // Orientations 5 to 8 swap width and height.
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

fn check_size((width, height): (u32, u32), limits: PhotoLimits) -> Result<(), Error> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels || width.max(height) > limits.max_side_pixels {
        return Err(Error::TooLarge {
            width,
            height,
            max_pixels: limits.max_pixels,
            max_side_pixels: limits.max_side_pixels,
        });
    }
    Ok(())
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
        // `image` does not know HEIC; it is an ISO base media file with an `ftyp` box.
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => Err(Error::Unsupported {
            found: iso_media_type(bytes),
        }),
        Err(_) => Err(Error::NotAnImage),
    }
}

/// Returns the media type of an ISO base media file, by its major brand.
fn iso_media_type(bytes: &[u8]) -> String {
    let name = match bytes.get(8..12) {
        Some(b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"heim" | b"heis") => "image/heic",
        Some(b"avif" | b"avis") => "image/avif",
        _ => "video/mp4",
    };
    name.to_owned()
}

/// Returns whether a JPEG has no end marker after the first scan. The decoder fills missing data
/// with grey and reports no error. Earlier end markers may belong to EXIF thumbnails.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        // Start of scan; entropy-coded data follows, without segment lengths.
        if kind == 0xda {
            return !bytes[at..]
                .windows(2)
                .rev()
                .any(|pair| pair == [0xff, 0xd9]);
        }
        // Any number of 0xff fill bytes may precede a marker (ITU T.81 B.1.1.2).
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
        ImageError::Limits(_) => Error::Damaged {
            reason: format!("its metadata has more than {METADATA_BYTES} bytes"),
        },
        other if other.to_string().contains("unexpected end") => Error::Truncated,
        other => Error::Damaged {
            reason: other.to_string(),
        },
    }
}

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

    /// Inserts an EXIF block with only an orientation after the start marker.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        // Big-endian TIFF with one entry: tag 0x0112, type SHORT, count 1.
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
        // Orientation 6: rotate 90 degrees clockwise.
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
        // The picture has 100 pixels.
        let narrow = PhotoLimits {
            max_pixels: 99,
            max_side_pixels: 1000,
            ..PhotoLimits::default()
        };

        assert!(matches!(
            decode(&png(10, 10), narrow),
            Err(Error::TooLarge {
                width: 10,
                height: 10,
                max_pixels: 99,
                ..
            })
        ));

        let short = PhotoLimits {
            max_pixels: 1000,
            max_side_pixels: 9,
            ..PhotoLimits::default()
        };

        assert!(matches!(
            decode(&png(10, 10), short),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn rejects_pictures_that_need_more_memory() {
        let limits = PhotoLimits {
            max_memory_bytes: 80 << 20,
            ..PhotoLimits::default()
        };
        assert!(decode(&jpeg(200, 100), limits).is_ok());
        let error = decode(&png(2000, 2000), limits).unwrap_err();
        assert!(matches!(error, Error::NeedsMemory { .. }));
        // Two sizes: what it needs, and the limit.
        assert!(error.to_string().contains("91 MiB"), "{error}");
        assert!(error.to_string().contains("80 MiB"), "{error}");
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
        // Only the `ftyp` box; that is enough to recognize the format.
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let Err(Error::Unsupported { found }) = decode(heic, PhotoLimits::default()) else {
            panic!("a HEIC file is not read");
        };
        assert_eq!(found, "image/heic");
        let gif = decode(b"GIF89a\x01\0\x01\0", PhotoLimits::default());
        assert!(matches!(gif, Err(Error::Unsupported { found }) if found == "image/gif"));
    }
}
