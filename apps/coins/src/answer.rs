//! The result of counting, as serialized to JSON.

use serde::Serialize;

use crate::money::Currency;

/// The coins of a photo and their value.
#[derive(Debug, Clone, Serialize)]
pub struct Count {
    /// The currency; absent when there are no coins and none was requested.
    pub currency: Option<Currency>,
    /// The value of all coins.
    pub total: Total,
    /// Whether other totals are about as likely; see the alternatives.
    pub ambiguous: bool,
    /// Other likely totals, the likeliest first.
    pub alternatives: Vec<Alternative>,
    /// Every coin, row by row from the top.
    pub coins: Vec<Coin>,
    /// The scale that fits the coins; absent without coins.
    pub scale: Option<Scale>,
    /// The photo.
    pub image: Image,
    /// Conditions that may reduce the accuracy.
    pub warnings: Vec<Warning>,
    /// How long the stages took.
    pub timing_ms: Timing,
}

/// An amount and its confidence.
#[derive(Debug, Clone, Serialize)]
pub struct Total {
    /// In cents.
    pub minor: u32,
    /// Formatted, such as `$0.82`; empty without a currency.
    pub display: String,
    /// The share of this total in the weight of all totals, 0 to 1.
    pub confidence: f32,
}

/// Another possible total.
#[derive(Debug, Clone, Serialize)]
pub struct Alternative {
    /// In cents.
    pub minor: u32,
    /// Formatted.
    pub display: String,
    /// Its share of the weight, 0 to 1.
    pub probability: f32,
    /// The difference from the best result, for instance `coin 4: nickel instead of dime`.
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
    /// The value in cents.
    pub denomination: u32,
    /// The name.
    pub name: &'static str,
    /// The confidence of the denomination, 0 to 1.
    pub confidence: f32,
    /// Whether the coin is cut by the edge of the photo.
    pub partial: bool,
}

/// The scale of the photo.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scale {
    /// Pixels of the full photo per millimetre, in its middle.
    pub px_per_mm: f32,
    /// Change of the logarithm of the scale over one long side, to the right and downwards.
    pub tilt: [f32; 2],
}

/// The original photo.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Image {
    /// The width when upright.
    pub width: u32,
    /// The height when upright.
    pub height: u32,
    /// The stored EXIF orientation, 1 to 8.
    pub orientation: u8,
}

/// A condition that may reduce the accuracy.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// A fixed code for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// How long the stages took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Timing {
    /// Decoding to the upright picture of working size.
    pub decode: u32,
    /// Detecting circles and selecting coins.
    pub detect: u32,
    /// Colours, scale and denominations.
    pub classify: u32,
}
