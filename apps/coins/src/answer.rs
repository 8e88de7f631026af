//! What is told about the coins of a photo.

use serde::Serialize;

use crate::money::Currency;

/// The coins of a photo and what they are worth.
#[derive(Debug, Clone, Serialize)]
pub struct Count {
    /// The currency; absent when there are no coins and none was asked for.
    pub currency: Option<Currency>,
    /// What the coins are worth together.
    pub total: Total,
    /// Whether other totals are about as likely; then look at the alternatives.
    pub ambiguous: bool,
    /// The next likely totals, the likeliest first.
    pub alternatives: Vec<Alternative>,
    /// Every coin, row by row from the top.
    pub coins: Vec<Coin>,
    /// The scale that fits the coins; absent without coins.
    pub scale: Option<Scale>,
    /// The photo.
    pub image: Image,
    /// What may have made the answer worse.
    pub warnings: Vec<Warning>,
    /// How long the stages took.
    pub timing_ms: Timing,
}

/// An amount and how sure it is.
#[derive(Debug, Clone, Serialize)]
pub struct Total {
    /// In cents.
    pub minor: u32,
    /// As people write it; empty without a currency.
    pub display: String,
    /// The share of the weight of all totals that this one has, 0 to 1.
    pub confidence: f32,
}

/// Another total that the photo allows.
#[derive(Debug, Clone, Serialize)]
pub struct Alternative {
    /// In cents.
    pub minor: u32,
    /// As people write it.
    pub display: String,
    /// Its share of the weight, 0 to 1.
    pub probability: f32,
    /// What would have to be different, for instance `coin 4: nickel instead of dime`.
    pub change: String,
}

/// One coin, in pixels of the upright full-size photo.
#[derive(Debug, Clone, Serialize)]
pub struct Coin {
    /// The number of the coin, from 1.
    pub id: usize,
    /// The centre, from the left.
    pub x: f32,
    /// The centre, from the top.
    pub y: f32,
    /// The radius.
    pub r: f32,
    /// What it is worth, in cents.
    pub denomination: u32,
    /// What it is called.
    pub name: &'static str,
    /// How sure the denomination is, 0 to 1.
    pub confidence: f32,
    /// Whether the frame cuts it.
    pub partial: bool,
}

/// The scale of the photo.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scale {
    /// Pixels of the full photo a millimetre, in its middle.
    pub px_per_mm: f32,
    /// How the logarithm of the scale changes over one long side, right and down.
    pub tilt: [f32; 2],
}

/// The photo as it came.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Image {
    /// The width when upright.
    pub width: u32,
    /// The height when upright.
    pub height: u32,
    /// The EXIF orientation it was stored with, 1 to 8.
    pub orientation: u8,
}

/// What may have made the answer worse.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// A fixed word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// How long the stages took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Timing {
    /// From bytes to the upright picture of working size.
    pub decode: u32,
    /// Finding circles and telling coins from others.
    pub detect: u32,
    /// Colours, scale and denominations.
    pub classify: u32,
}
