//! The memory that decoding a photo takes, from its header, before anything is decoded.
//!
//! The figures are those of the decoders: `zune-jpeg`, `png` and `image-webp`.

use image::ImageFormat;

use crate::Error;

/// The size of a photo and what decoding it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecodingCost {
    pub(super) width: u32,
    pub(super) height: u32,
    /// In bytes, with everything that is allocated until the working picture is done.
    pub(super) bytes: u64,
}

impl DecodingCost {
    /// Reads the header of a photo.
    pub(super) fn from_header(bytes: &[u8], format: ImageFormat) -> Result<Self, Error> {
        let (width, height, decoding) = match format {
            ImageFormat::Jpeg => jpeg(bytes)?,
            ImageFormat::Png => png(bytes)?,
            _ => webp(bytes)?,
        };

        // The decoder of JPEG copies the file and keeps its metadata.
        let input = 2 * bytes.len() as u64;
        Ok(Self {
            width,
            height,
            bytes: decoding + input + FIXED_BYTES,
        })
    }

    /// Returns the cost of a picture with `bytes_per_pixel` in all buffers together.
    fn per_pixel(width: u32, height: u32, bytes_per_pixel: u64) -> (u32, u32, u64) {
        let pixels = u64::from(width) * u64::from(height);
        (width, height, pixels * bytes_per_pixel)
    }
}

/// The frame header of a JPEG (ITU T.81, B.2.2).
struct Frame<'a> {
    width: u32,
    height: u32,
    /// Three bytes each; the second one has the sampling factors.
    components: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the segment after its marker.
    fn read(segment: &'a [u8]) -> Option<Self> {
        let [_, _, _precision, height @ .., count] = *segment.first_chunk::<8>()?;
        let [h1, h2, w1, w2] = height;
        Some(Self {
            width: u32::from(u16::from_be_bytes([w1, w2])),
            height: u32::from(u16::from_be_bytes([h1, h2])),
            components: segment.get(8..8 + 3 * usize::from(count))?,
        })
    }

    /// Returns the size of all coefficients, of two bytes each.
    fn coefficient_bytes(&self) -> u64 {
        let factors = || {
            let bytes = self.components.iter().skip(1).step_by(3);
            bytes.map(|byte| (u64::from(byte >> 4).max(1), u64::from(byte & 15).max(1)))
        };
        let across = factors().map(|(across, _)| across).max().unwrap_or(1);
        let down = factors().map(|(_, down)| down).max().unwrap_or(1);

        let units =
            u64::from(self.width).div_ceil(8 * across) * u64::from(self.height).div_ceil(8 * down);
        let blocks: u64 = factors().map(|(across, down)| across * down).sum();
        units * blocks * 64 * 2
    }
}

fn jpeg(bytes: &[u8]) -> Result<(u32, u32, u64), Error> {
    let (frame, components_in_scan) = first_frame(bytes)?;
    // A file can hide a frame header from one parser and show it to another. So the largest one of the same size
    // counts, wherever it is: the data of a scan cannot contain a marker (ITU T.81, F.1.2.3).
    let (mut coefficients, mut has_scans) = (0, false);
    for (at, pair) in bytes.windows(2).enumerate() {
        let [0xff, kind @ 0xc0..=0xc2] = *pair else {
            continue;
        };
        let other = Frame::read(&bytes[at + 2..]);
        if let Some(other) = other.filter(|other| other.width == frame.width) {
            coefficients = coefficients.max(other.coefficient_bytes());
            has_scans |= kind == 0xc2;
        }
    }

    // Baseline with all components in one scan is decoded row by row; everything else is collected first.
    has_scans |= frame.components.len() != 3 * usize::from(components_in_scan);
    let collected = if has_scans { coefficients } else { 0 };
    let bytes_per_pixel = if frame.components.len() == 3 {
        1 + RGB // grey, then RGB
    } else {
        RGB
    };

    let (width, height, pixels) =
        DecodingCost::per_pixel(frame.width, frame.height, bytes_per_pixel);
    Ok((width, height, pixels + collected))
}

/// Returns the frame header before the first scan, and the number of components of that scan.
fn first_frame(bytes: &[u8]) -> Result<(Frame<'_>, u8), Error> {
    let mut at = 2;
    let mut frame = None;
    while let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4) {
        let segment = &bytes[at + 2..];
        match kind {
            // Any number of fill bytes may precede a marker (ITU T.81, B.1.1.2).
            0xff => {
                at += 1;
                continue;
            }
            0xda => {
                let count = segment.get(2).copied().unwrap_or(0);
                return frame.map(|frame| (frame, count)).ok_or(Error::Truncated);
            }
            0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => {
                if frame.is_some() {
                    return Err(damage_error("it has two frame headers"));
                }
                frame = Some(Frame::read(segment).ok_or(Error::Truncated)?);
            }
            0xc4 | 0xc8 | 0xcc | 0xdb..=0xfe => {}
            // Markers without a length, which have no place before the first scan.
            _ => {
                return Err(damage_error(
                    "it has an unexpected marker before the first scan",
                ));
            }
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
    }
    Err(Error::Truncated)
}

fn png(bytes: &[u8]) -> Result<(u32, u32, u64), Error> {
    // The signature, the length and name of the chunk, then its data (PNG specification, 11.2.1).
    let header = bytes.get(16..26).ok_or(Error::Truncated)?;
    let number = |at: usize| -> u32 {
        header[at..at + 4]
            .iter()
            .fold(0, |n, b| n << 8 | u32::from(*b))
    };
    let (depth, colour) = (header[8], header[9]);

    // With the alpha channel that a tRNS chunk adds; a palette becomes RGB.
    let channels = match colour {
        0 | 4 => 2,
        _ => 4,
    };
    let bytes_per_channel = if depth > 8 { 2 } else { 1 };
    let bytes_per_pixel = channels * bytes_per_channel + RGB;
    Ok(DecodingCost::per_pixel(
        number(0),
        number(4),
        bytes_per_pixel,
    ))
}

fn webp(bytes: &[u8]) -> Result<(u32, u32, u64), Error> {
    let kind = bytes.get(12..16).ok_or(Error::Truncated)?;
    let data = bytes.get(20..30).ok_or(Error::Truncated)?;
    let short = |at: usize| u32::from(u16::from_le_bytes([data[at], data[at + 1]]));
    let (width, height, bytes_per_pixel) = match kind {
        // A frame header of three bytes and a start code, then two sizes of 14 bits (RFC 6386, 9.1).
        b"VP8 " => (short(6) & 0x3fff, short(8) & 0x3fff, LOSSY),
        // A signature byte, then two sizes of 14 bits, minus 1 (WebP lossless specification, 3).
        b"VP8L" => {
            let bits = short(1) | short(3) << 16;
            ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, LOSSLESS)
        }
        // Flags, then two sizes of 24 bits, minus 1 (WebP container specification, "Extended File Format").
        b"VP8X" => {
            let size = |at: usize| (short(at) | u32::from(data[at + 2]) << 16) + 1;
            (size(4), size(7), EXTENDED)
        }
        _ => return Err(damage_error("its first chunk is unknown")),
    };
    Ok(DecodingCost::per_pixel(width, height, bytes_per_pixel))
}

fn damage_error(reason: &str) -> Error {
    Error::Damaged {
        reason: reason.to_owned(),
    }
}

/// Bytes per pixel of the picture that all formats become.
const RGB: u64 = 3;
/// Planes of one and two quarter bytes, padded, and RGB.
const LOSSY: u64 = 6;
/// RGBA twice, or RGBA and RGB, and RGB.
const LOSSLESS: u64 = 11;
/// The planes, an alpha plane decoded from RGBA, RGBA, and RGB; an animation has RGBA twice instead.
const EXTENDED: u64 = 17;
/// Working pictures, detection, metadata ([`METADATA_BYTES`]) and the result.
const FIXED_BYTES: u64 = 64 << 20;
/// The most that the decoders may allocate for metadata, such as a compressed colour profile.
pub(super) const METADATA_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, width: u16, height: u16, sampling: &[u8]) -> Vec<u8> {
        let mut segment = vec![0xff, kind, 0, 8 + 3 * sampling.len() as u8, 8];
        segment.extend(height.to_be_bytes());
        segment.extend(width.to_be_bytes());
        segment.push(sampling.len() as u8);
        for (id, factors) in sampling.iter().enumerate() {
            segment.extend([id as u8, *factors, 0]);
        }
        segment
    }

    fn scan(components: u8) -> Vec<u8> {
        vec![0xff, 0xda, 0, 8, components, 0, 0, 0]
    }

    fn decoding_bytes(parts: &[Vec<u8>]) -> Result<u64, Error> {
        let bytes = [vec![0xff, 0xd8], parts.concat()].concat();
        jpeg(&bytes).map(|(_, _, decoding)| decoding)
    }

    #[test]
    fn counts_the_coefficients_of_a_progressive_jpeg() {
        let pixels = 1600 * 1600;
        let baseline = [frame(0xc0, 1600, 1600, &[0x22, 0x11, 0x11]), scan(3)];
        assert_eq!(decoding_bytes(&baseline).unwrap(), pixels * 3);
        // 4:2:0 has one and a half coefficients per pixel, of two bytes.
        let progressive = [frame(0xc2, 1600, 1600, &[0x22, 0x11, 0x11]), scan(3)];
        assert_eq!(decoding_bytes(&progressive).unwrap(), pixels * (3 + 3));
        let full = [frame(0xc2, 1600, 1600, &[0x11, 0x11, 0x11]), scan(3)];
        assert_eq!(decoding_bytes(&full).unwrap(), pixels * (3 + 6));
        let grey = [frame(0xc0, 1600, 1600, &[0x11]), scan(1)];
        assert_eq!(decoding_bytes(&grey).unwrap(), pixels * 4);
    }

    #[test]
    fn counts_the_coefficients_of_a_baseline_jpeg_in_several_scans() {
        let parts = [frame(0xc0, 1600, 1600, &[0x11, 0x11, 0x11]), scan(1)];
        assert_eq!(decoding_bytes(&parts).unwrap(), 1600 * 1600 * (3 + 6));
    }

    #[test]
    fn is_not_deceived_by_a_second_frame_header() {
        let small = frame(0xc0, 1600, 1600, &[0x22, 0x11, 0x11]);
        let large = frame(0xc2, 1600, 1600, &[0x11, 0x11, 0x11]);
        let after_the_scan = [small.clone(), scan(3), large.clone()];
        assert_eq!(
            decoding_bytes(&after_the_scan).unwrap(),
            1600 * 1600 * (3 + 6)
        );
        assert!(decoding_bytes(&[small.clone(), large, scan(3)]).is_err());
        // RST0 has no length, so parsers disagree on what follows it.
        assert!(decoding_bytes(&[vec![0xff, 0xd0], small, scan(3)]).is_err());
    }

    #[test]
    fn reads_the_size_of_every_format() {
        let mut picture = image::RgbaImage::new(300, 200);
        picture.put_pixel(0, 0, image::Rgba([255, 0, 0, 9]));
        for (format, bytes_per_pixel) in [(ImageFormat::Png, 7), (ImageFormat::WebP, LOSSLESS)] {
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            let cost = DecodingCost::from_header(&bytes, format).unwrap();
            assert_eq!((cost.width, cost.height), (300, 200), "{format:?}");
            let pixels = cost.bytes - FIXED_BYTES - 2 * bytes.len() as u64;
            assert_eq!(pixels, 300 * 200 * bytes_per_pixel, "{format:?}");
        }
    }
}
