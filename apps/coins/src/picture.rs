//! Draws the result onto the photo: a ring around each coin in the colour of its denomination, its
//! value inside, and the total in the corner. Rings of uncertain coins are dashed.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};

use crate::PhotoCount;
use crate::answer::{Coin, Count};
use crate::font;
use crate::money::Currency;
use crate::raster::Raster;

/// The format of an encoded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Small, lossy.
    Jpeg,
    /// Lossless.
    Png,
}

impl Format {
    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// Returns the working picture with the result drawn onto it.
pub fn annotate(counted: &PhotoCount) -> Raster {
    let mut canvas = counted.working.clone();
    // All rings first, so that no ring covers a value.
    for coin in &counted.count.coins {
        ring(&mut canvas, coin, counted);
    }
    for coin in &counted.count.coins {
        value(&mut canvas, coin, counted);
    }
    total(&mut canvas, &counted.count);
    canvas
}

/// Encodes a picture.
pub fn encode(raster: &Raster, format: Format) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (raster.width() as u32, raster.height() as u32);
    let mut bytes = Cursor::new(Vec::new());
    let kind = ExtendedColorType::Rgb8;

    match format {
        Format::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).write_image(
            raster.pixels(),
            width,
            height,
            kind,
        )?,
        Format::Png => {
            PngEncoder::new(&mut bytes).write_image(raster.pixels(), width, height, kind)?;
        }
    }

    Ok(bytes.into_inner())
}

fn ring(canvas: &mut Raster, coin: &Coin, counted: &PhotoCount) {
    let (x, y, r) = position(coin, counted);
    let half = (r / 22.0).clamp(1.0, 4.0);
    let colour = colour(coin, counted.count.currency);
    let dashed = coin.confidence < DOUBTFUL;
    let reach = r + half + 1.5;

    for py in (y - reach) as isize..=(y + reach) as isize {
        for px in (x - reach) as isize..=(x + reach) as isize {
            let (dx, dy) = (px as f32 - x, py as f32 - y);
            let off = (dx.hypot(dy) - r).abs() - half;
            // Sixteen dashes around the circle.
            let turn = dy.atan2(dx) / std::f32::consts::TAU * 16.0;
            if off < 1.5 && !(dashed && turn.rem_euclid(1.0) > 0.6) {
                // A dark line on both sides keeps the ring visible on any coin.
                let (colour, cover) = if off < 0.0 {
                    (colour, 1.0)
                } else {
                    (DARK, 1.0 - off / 1.5)
                };
                blend(canvas, px, py, colour, cover);
            }
        }
    }
}

fn value(canvas: &mut Raster, coin: &Coin, counted: &PhotoCount) {
    let (x, y, r) = position(coin, counted);
    let text = match counted.count.currency {
        Some(Currency::Eur) if coin.denomination >= 100 => format!("€{}", coin.denomination / 100),
        _ => coin.denomination.to_string(),
    };
    // The text is at most 0.7 of the radius high.
    let dot = ((r * 0.7) as usize / font::HEIGHT).clamp(1, 7);
    let (width, height) = size(&text, dot);
    let left = x as isize - width as isize / 2;
    let top = y as isize - height as isize / 2;
    write(canvas, &text, left, top, dot, [255, 255, 255]);
}

fn total(canvas: &mut Raster, count: &Count) {
    let mut text = count.total.display.clone();
    if text.is_empty() {
        "0".clone_into(&mut text);
    }

    if count.ambiguous {
        text.push('?');
    }

    let dot = (canvas.width() / 200).clamp(2, 7);
    let (width, height) = size(&text, dot);
    let edge = 2 * dot as isize;
    for y in 0..(height as isize + 2 * edge) {
        for x in 0..(width as isize + 2 * edge) {
            blend(canvas, x, y, DARK, 0.75);
        }
    }

    write(canvas, &text, edge, edge, dot, [255, 255, 255]);
}

fn position(coin: &Coin, counted: &PhotoCount) -> (f32, f32, f32) {
    let scale = counted.scale;
    // The inverse of the conversion in `count/report.rs`.
    (coin.x / scale - 0.5, coin.y / scale - 0.5, coin.r / scale)
}

fn colour(coin: &Coin, currency: Option<Currency>) -> [u8; 3] {
    let kinds = currency.map_or(&[][..], Currency::coins);
    let kind = kinds
        .iter()
        .position(|kind| kind.value == coin.denomination);
    kind.and_then(|kind| COLOURS.get(kind))
        .copied()
        .unwrap_or([255, 255, 255])
}

fn size(text: &str, dot: usize) -> (usize, usize) {
    let letters = text.chars().count();
    (
        (letters * (font::WIDTH + 1)).saturating_sub(1) * dot,
        font::HEIGHT * dot,
    )
}

/// Writes text with a dark edge around each dot.
fn write(canvas: &mut Raster, text: &str, left: isize, top: isize, dot: usize, colour: [u8; 3]) {
    let dot = dot as isize;
    // The edges of all dots first, so that no edge covers a dot.
    for (grow, colour) in [(1 + dot / 3, DARK), (0, colour)] {
        for (column, row) in dots(text) {
            let (x, y) = (left + column as isize * dot, top + row as isize * dot);
            for py in y - grow..y + dot + grow {
                for px in x - grow..x + dot + grow {
                    canvas.set(px, py, colour);
                }
            }
        }
    }
}

fn dots(text: &str) -> Vec<(usize, usize)> {
    let mut dots = Vec::new();
    for (i, letter) in text.chars().enumerate() {
        for (row, bits) in font::letter(letter).into_iter().enumerate() {
            let set = (0..font::WIDTH).filter(|x| bits >> (font::WIDTH - 1 - x) & 1 == 1);
            dots.extend(set.map(|x| (i * (font::WIDTH + 1) + x, row)));
        }
    }
    dots
}

fn blend(canvas: &mut Raster, x: isize, y: isize, colour: [u8; 3], cover: f32) {
    let below = canvas.at(x, y);
    let mix = |i: usize| {
        (f32::from(below[i]) * (1.0 - cover) + f32::from(colour[i]) * cover).round() as u8
    };
    canvas.set(x, y, [mix(0), mix(1), mix(2)]);
}

/// One colour per denomination, the smallest value first.
const COLOURS: [[u8; 3]; 8] = [
    [255, 112, 67],
    [38, 198, 218],
    [156, 204, 101],
    [255, 238, 88],
    [171, 71, 188],
    [66, 165, 245],
    [236, 64, 122],
    [255, 255, 255],
];
const DARK: [u8; 3] = [16, 16, 24];
const DOUBTFUL: f32 = 0.6;
const JPEG_QUALITY: u8 = 85;
