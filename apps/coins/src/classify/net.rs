//! A small convolutional network on 32x32 crops: three 3x3 convolutions, each with ReLU and 2x2 max
//! pooling, and two dense layers. It is implemented here because it is a page of code; an inference
//! library would be many times the size of the whole program.

use crate::detect::Circle;
use crate::raster::{Pyramid, shrink};

/// The side of a crop in pixels.
pub const CROP_SIDE: usize = 32;

/// A crop as network input: row by row, three channels per pixel.
pub type Crop = Vec<f32>;

/// The number of outputs: the score of "a coin", then one per metal.
pub const OUTPUTS: usize = 6;

/// The sizes of the layers, for the network and for its training.
pub mod shape {
    /// Channels after each convolution; the first entry is the input.
    pub const CHANNELS: [usize; 4] = [3, 16, 24, 40];
    /// The side of the input of each convolution, and of the last one's pooled output.
    pub const SIDES: [usize; 4] = [32, 16, 8, 4];
    /// The width of the dense layer.
    pub const HIDDEN: usize = 16;
    /// The inputs of the dense layer.
    pub const FLAT: usize = SIDES[3] * SIDES[3] * CHANNELS[3];
    /// The offset of each layer's weights; its biases follow them. The entries are the three
    /// convolutions, the two dense layers, and the end.
    pub const OFFSETS: [usize; 6] = {
        let mut offsets = [0; 6];
        let mut layer = 0;
        while layer < 3 {
            let (i, o) = (CHANNELS[layer], CHANNELS[layer + 1]);
            offsets[layer + 1] = offsets[layer] + 9 * i * o + o;
            layer += 1;
        }
        offsets[4] = offsets[3] + FLAT * HIDDEN + HIDDEN;
        offsets[5] = offsets[4] + HIDDEN * super::OUTPUTS + super::OUTPUTS;
        offsets
    };
}

/// The number of weights.
pub const NET_WEIGHTS: usize = shape::OFFSETS[5];

/// The network.
#[derive(Debug, Clone)]
pub struct Net {
    weights: Vec<f32>,
}

impl Net {
    /// Creates a network from weights in the order of [`shape::OFFSETS`]; missing ones are zero.
    pub fn new(mut weights: Vec<f32>) -> Self {
        weights.resize(NET_WEIGHTS, 0.0);
        Self { weights }
    }

    /// Returns the weights.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Returns the scores of a crop.
    pub fn scores(&self, crop: &Crop) -> [f32; OUTPUTS] {
        use shape::{CHANNELS, HIDDEN, OFFSETS, SIDES};
        let w = &self.weights;
        let first = convolve::<{ CHANNELS[1] }>(crop, SIDES[0], &w[..OFFSETS[1]]);
        let second = convolve::<{ CHANNELS[2] }>(&first, SIDES[1], &w[OFFSETS[1]..OFFSETS[2]]);
        let third = convolve::<{ CHANNELS[3] }>(&second, SIDES[2], &w[OFFSETS[2]..OFFSETS[3]]);
        let hidden = dense::<HIDDEN>(&third, &w[OFFSETS[3]..OFFSETS[4]]).map(|v| v.max(0.0));
        dense::<OUTPUTS>(&hidden, &w[OFFSETS[4]..])
    }
}

/// Returns a crop of a circle and a quarter of its radius around it, rotated by `turn` radians,
/// with normalized brightness and contrast; the colour balance is kept.
pub fn crop(pyramid: &Pyramid, circle: &Circle, turn: f32) -> Crop {
    let half = CROP_SIDE as f32 / 2.0;
    let (raster, factor) = pyramid.level_for(circle.r, half / REACH);
    let (x, y, r) = (
        shrink(circle.x, factor),
        shrink(circle.y, factor),
        circle.r / factor,
    );
    let (sin, cos) = turn.sin_cos();
    let mut crop = Vec::with_capacity(CROP_SIDE * CROP_SIDE * 3);

    for row in 0..CROP_SIDE {
        for column in 0..CROP_SIDE {
            let u = (column as f32 + 0.5 - half) / half * REACH * r;
            let v = (row as f32 + 0.5 - half) / half * REACH * r;
            crop.extend(raster.interpolate(x + u * cos - v * sin, y + u * sin + v * cos));
        }
    }

    normalize(&mut crop);
    crop
}

/// Subtracts the mean brightness and divides by its standard deviation.
pub fn normalize(crop: &mut [f32]) {
    let count = crop.len() as f32 / 3.0;
    // Luma weights of ITU-R BT.601, rounded.
    let light = |pixel: &[f32]| 0.3 * pixel[0] + 0.59 * pixel[1] + 0.11 * pixel[2];
    let mean = crop.chunks_exact(3).map(light).sum::<f32>() / count;
    let square = crop
        .chunks_exact(3)
        .map(|p| (light(p) - mean).powi(2))
        .sum::<f32>()
        / count;
    // The constant keeps noise in flat crops from being amplified.
    let spread = square.sqrt() + 8.0;

    for value in crop {
        *value = (*value - mean) / spread;
    }
}

/// Computes a 3x3 convolution with `O` outputs, ReLU and pooling. Weights are in the order tap,
/// input, output, so that the innermost loop runs over adjacent outputs.
fn convolve<const O: usize>(input: &[f32], side: usize, weights: &[f32]) -> Vec<f32> {
    let channels = input.len() / (side * side);
    let (weights, bias) = weights.split_at(weights.len() - O);
    let padded = pad(input, side, channels);
    let row = (side + 2) * channels;
    let half = side / 2;
    let mut out = vec![0.0; half * half * O];

    for y in 0..half {
        for x in 0..half {
            // Starting at zero makes the maximum a ReLU as well.
            let mut best = [0.0_f32; O];
            for corner in 0..4 {
                let start = (2 * y + corner / 2) * row + (2 * x + corner % 2) * channels;
                let mut sum = [0.0_f32; O];
                sum.copy_from_slice(bias);

                for tap_row in 0..3 {
                    let line = &padded[start + tap_row * row..][..3 * channels];
                    let taps = &weights[tap_row * 3 * channels * O..][..3 * channels * O];
                    for (value, tap) in line.iter().zip(taps.chunks_exact(O)) {
                        for (sum, weight) in sum.iter_mut().zip(tap) {
                            *sum += value * weight;
                        }
                    }
                }

                for (best, sum) in best.iter_mut().zip(sum) {
                    *best = best.max(sum);
                }
            }
            out[(y * half + x) * O..][..O].copy_from_slice(&best);
        }
    }

    out
}

/// Adds a border of zeros, one pixel wide.
fn pad(input: &[f32], side: usize, channels: usize) -> Vec<f32> {
    let row = (side + 2) * channels;
    let mut out = vec![0.0; row * (side + 2)];
    for (y, line) in input.chunks_exact(side * channels).enumerate() {
        out[(y + 1) * row + channels..][..side * channels].copy_from_slice(line);
    }
    out
}

fn dense<const O: usize>(input: &[f32], weights: &[f32]) -> [f32; O] {
    let (weights, bias) = weights.split_at(weights.len() - O);
    let mut out = [0.0; O];
    out.copy_from_slice(bias);
    for (value, weights) in input.iter().zip(weights.chunks_exact(O)) {
        for (sum, weight) in out.iter_mut().zip(weights) {
            *sum += value * weight;
        }
    }
    out
}

/// The extent of a crop in radii.
const REACH: f32 = 1.25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Raster;

    #[test]
    fn convolution_sums_its_neighbourhood() {
        // All taps of the first output are 1; the second has only a bias.
        let mut weights = vec![0.0; 9 * 2 + 2];
        for tap in 0..9 {
            weights[tap * 2] = 1.0;
        }
        weights[19] = 5.0;
        let out = convolve::<2>(&[1.0; 16], 4, &weights);
        assert_eq!(out, [9.0, 5.0, 9.0, 5.0, 9.0, 5.0, 9.0, 5.0]);
    }

    #[test]
    fn crops_are_independent_of_brightness() {
        let circle = Circle {
            x: 20.0,
            y: 20.0,
            r: 12.0,
            coverage: 1.0,
            contrast: 1.0,
        };

        let picture = |low: u8, high: u8| {
            let mut raster = Raster::new(40, 40, [low; 3]);
            (10..20).for_each(|i| raster.set(i, 12, [high; 3]));
            crop(&Pyramid::new(raster), &circle, 0.0)
        };
        let (dark, light) = (picture(10, 210), picture(50, 250));
        assert!(dark.iter().zip(&light).all(|(a, b)| (a - b).abs() < 0.01));
    }
}
