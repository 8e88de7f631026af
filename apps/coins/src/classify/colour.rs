//! The colour of a coin's centre and ring, relative to its surroundings and to the other coins in
//! the photo: under a warm lamp everything is yellow.

use crate::detect::Circle;
use crate::money::Metal;
use crate::raster::{Pyramid, Raster, shrink};

/// The number of colour features of a coin.
pub const COLOUR_FEATURES: usize = 30;

/// The colours measured in and around one circle, in linear light, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Patch {
    /// The centre: under 0.58 of the radius.
    pub centre: [f32; 3],
    /// The ring inside the rim: 0.78 to 0.9 of the radius.
    pub ring: [f32; 3],
    /// The surroundings: 1.15 to 1.45 of the radius, without other coins.
    pub around: [f32; 3],
}

impl Patch {
    /// Measures one circle; `all` are the circles to exclude from the surroundings.
    pub fn measure(pyramid: &Pyramid, circle: &Circle, all: &[Circle]) -> Self {
        let (raster, factor) = pyramid.level_for(circle.r, 20.0);
        let (x, y, r) = (
            shrink(circle.x, factor),
            shrink(circle.y, factor),
            circle.r / factor,
        );
        let free = |px: f32, py: f32| {
            let covers = |c: &Circle| {
                let (cx, cy) = (shrink(c.x, factor), shrink(c.y, factor));
                (px - cx).hypot(py - cy) < 1.08 * c.r / factor
            };
            !all.iter().any(covers)
        };

        let anywhere = |_: f32, _: f32| true;
        let centre = trimmed_mean(raster, x, y, (0.0, 0.58 * r), anywhere).unwrap_or([0.5; 3]);
        let ring = trimmed_mean(raster, x, y, (0.78 * r, 0.9 * r), anywhere).unwrap_or(centre);
        let around = trimmed_mean(raster, x, y, (1.15 * r, 1.45 * r), free).unwrap_or([0.2; 3]);

        Self {
            centre,
            ring,
            around,
        }
    }

    /// Returns the patch under another light, with a gain per channel.
    pub fn with_light(&self, gains: [f32; 3]) -> Self {
        let scaled = |c: [f32; 3]| [c[0] * gains[0], c[1] * gains[1], c[2] * gains[2]];
        Self {
            centre: scaled(self.centre),
            ring: scaled(self.ring),
            around: scaled(self.around),
        }
    }
}

/// Returns the mean colour between two radii, without the darkest seventh and the lightest quarter:
/// engraving and glare.
fn trimmed_mean(
    raster: &Raster,
    x: f32,
    y: f32,
    (inner, outer): (f32, f32),
    counts: impl Fn(f32, f32) -> bool,
) -> Option<[f32; 3]> {
    let mut colours = Vec::new();
    let (left, right) = ((x - outer).floor() as isize, (x + outer).ceil() as isize);
    let (top, bottom) = ((y - outer).floor() as isize, (y + outer).ceil() as isize);
    for py in top.max(0)..=bottom.min(raster.height() as isize - 1) {
        for px in left.max(0)..=right.min(raster.width() as isize - 1) {
            let (fx, fy) = (px as f32, py as f32);
            let away = (fx - x).hypot(fy - y);
            if away >= inner && away <= outer && counts(fx, fy) {
                colours.push(raster.at(px, py));
            }
        }
    }

    if colours.len() < 8 {
        return None;
    }
    colours.sort_by_key(|c| 3 * u32::from(c[0]) + 6 * u32::from(c[1]) + u32::from(c[2]));

    let middle = &colours[colours.len() / 7..colours.len() * 3 / 4];
    let mut sum = [0.0; 3];
    for colour in middle {
        for (sum, value) in sum.iter_mut().zip(colour) {
            *sum += linear(*value);
        }
    }

    Some(sum.map(|sum| sum / middle.len() as f32))
}

/// Approximates the inverse of the sRGB transfer function.
fn linear(value: u8) -> f32 {
    (f32::from(value) / 255.0).powf(2.2)
}

/// Returns the features of each coin of a photo.
pub fn features(patches: &[Patch]) -> Vec<[f32; COLOUR_FEATURES]> {
    let centres: Vec<[f32; 3]> = patches.iter().map(|p| lab(p.centre)).collect();
    let tints: Vec<[f32; 2]> = patches.iter().map(|p| tint(p.centre)).collect();
    // Medians over the photo estimate the light, which all coins share.
    let common: [f32; 3] = [0, 1, 2].map(|i| quantile(centres.iter().map(|c| c[i]).collect(), 0.5));
    let shared: [f32; 2] = [0, 1].map(|i| quantile(tints.iter().map(|t| t[i]).collect(), 0.5));
    let red: Vec<f32> = centres.iter().map(|c| c[1]).collect();
    let extremes = [quantile(red.clone(), 0.1), quantile(red, 0.9)];
    let describe = |patch: &Patch| {
        let (centre, ring, around) = (lab(patch.centre), lab(patch.ring), lab(patch.around));
        let mut out = Vec::with_capacity(COLOUR_FEATURES);
        out.extend(centre);
        out.extend(ring);
        out.extend(around);
        out.extend(common);
        out.extend([chroma(centre), chroma(ring)]);
        out.extend(hue(centre));
        out.extend(hue(ring));

        out.extend(tint(patch.centre));
        out.extend(tint(patch.ring));
        out.extend(tint(patch.around));
        out.extend(shared);
        out.extend(extremes);
        out.extend([
            (centre[1] - ring[1]).hypot(centre[2] - ring[2]),
            chroma(centre) - chroma(ring),
        ]);

        let mut fixed = [0.0; COLOUR_FEATURES];
        fixed.copy_from_slice(&out[..COLOUR_FEATURES]);
        fixed
    };

    patches.iter().map(describe).collect()
}

fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    values.sort_by(f32::total_cmp);
    let at = (share * (values.len() as f32 - 1.0)).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

/// Converts to CIE Lab under D65, in tenths so that all features have similar ranges.
fn lab(rgb: [f32; 3]) -> [f32; 3] {
    let [r, g, b] = rgb;
    let f = |t: f32| {
        if t > 0.008856 {
            t.cbrt()
        } else {
            7.787 * t + 16.0 / 116.0
        }
    };

    let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
    let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
    let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
    [11.6 * y - 1.6, 50.0 * (x - y), 20.0 * (y - z)]
}

fn chroma(lab: [f32; 3]) -> f32 {
    lab[1].hypot(lab[2])
}

fn hue(lab: [f32; 3]) -> [f32; 2] {
    // The constant damps the hue of nearly grey colours, which is noise.
    let size = chroma(lab) + 0.3;
    [lab[1] / size, lab[2] / size]
}

/// Returns red and blue relative to green, as logarithms: a change of light adds the same amount
/// for every coin.
fn tint(rgb: [f32; 3]) -> [f32; 2] {
    let log = |v: f32| (v + 0.004).ln();
    [log(rgb[0]) - log(rgb[1]), log(rgb[2]) - log(rgb[1])]
}

/// A multinomial logistic regression over the features.
#[derive(Debug, Clone)]
pub struct Colours {
    weights: Vec<f32>,
}

impl Colours {
    /// Per feature a mean, a standard deviation and one weight per class, then one bias per class.
    pub const WEIGHTS: usize = COLOUR_FEATURES * (2 + CLASSES) + CLASSES;

    /// Creates a model from weights; missing ones are zero.
    pub fn new(mut weights: Vec<f32>) -> Self {
        weights.resize(Self::WEIGHTS, 0.0);
        Self { weights }
    }

    /// Returns the weights.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Returns the score of each metal, in the order of [`Metal::ALL`].
    pub fn scores(&self, features: &[f32; COLOUR_FEATURES]) -> [f32; CLASSES] {
        let (per_feature, bias) = self.weights.split_at(COLOUR_FEATURES * (2 + CLASSES));
        let mut scores = [0.0; CLASSES];
        scores.copy_from_slice(bias);
        for (value, weights) in features.iter().zip(per_feature.chunks_exact(2 + CLASSES)) {
            let value = (value - weights[0]) / weights[1].max(1e-3);
            for (score, weight) in scores.iter_mut().zip(&weights[2..]) {
                // Features far outside of the training data must not dominate.
                *score += value.clamp(-4.0, 4.0) * weight;
            }
        }
        scores
    }
}

const CLASSES: usize = Metal::ALL.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_is_colourless_and_light_shifts_all_tints_alike() {
        let white = lab([1.0, 1.0, 1.0]);
        assert!(
            (white[0] - 10.0).abs() < 0.05 && chroma(white) < 0.05,
            "{white:?}"
        );

        let patch = Patch {
            centre: [0.5, 0.3, 0.2],
            ring: [0.4; 3],
            around: [0.3, 0.2, 0.4],
        };
        let brighter = patch.with_light([1.3, 1.0, 0.8]);
        let moved = |a: [f32; 3], b: [f32; 3]| tint(b)[0] - tint(a)[0];
        let (centre, around) = (
            moved(patch.centre, brighter.centre),
            moved(patch.around, brighter.around),
        );
        assert!((centre - around).abs() < 0.01, "{centre} {around}");
    }
}
