//! The layers of `classify::Net`, forward with intermediate results and backward.

use coins::classify::shape::{CHANNELS, HIDDEN, OFFSETS, SIDES};
use coins::classify::{Crop, OUTPUTS};

/// Intermediate results needed for backpropagation.
pub(crate) struct ForwardPass {
    /// The padded input of each convolution.
    inputs: [Vec<f32>; 3],
    /// For each pooled output which of its four inputs was the maximum; 4 when none was above zero.
    winners: [Vec<u8>; 3],
    pub(crate) flat: Vec<f32>,
    pub(crate) hidden: [f32; HIDDEN],
    pub(crate) scores: [f32; OUTPUTS],
}

pub(crate) fn forward(weights: &[f32], crop: &Crop) -> ForwardPass {
    let first = convolve::<{ CHANNELS[1] }>(pad(crop, SIDES[0]), SIDES[0], layer(weights, 0));
    let second = convolve::<{ CHANNELS[2] }>(pad(&first.1, SIDES[1]), SIDES[1], layer(weights, 1));
    let third = convolve::<{ CHANNELS[3] }>(pad(&second.1, SIDES[2]), SIDES[2], layer(weights, 2));
    let flat = third.1;
    let mut hidden = [0.0; HIDDEN];

    dense(&flat, layer(weights, 3), &mut hidden);
    for value in &mut hidden {
        *value = value.max(0.0);
    }

    let mut scores = [0.0; OUTPUTS];
    dense(&hidden, layer(weights, 4), &mut scores);
    ForwardPass {
        inputs: [first.0, second.0, third.0],
        winners: [first.2, second.2, third.2],
        flat,
        hidden,
        scores,
    }
}

fn layer(weights: &[f32], layer: usize) -> &[f32] {
    &weights[OFFSETS[layer]..OFFSETS[layer + 1]]
}

fn pad(input: &[f32], side: usize) -> Vec<f32> {
    let channels = input.len() / (side * side);
    let row = (side + 2) * channels;
    let mut out = vec![0.0; row * (side + 2)];
    for (y, line) in input.chunks_exact(side * channels).enumerate() {
        out[(y + 1) * row + channels..][..side * channels].copy_from_slice(line);
    }
    out
}

fn convolve<const O: usize>(padded: Vec<f32>, side: usize, weights: &[f32]) -> ConvolutionOutput {
    let channels = padded.len() / ((side + 2) * (side + 2));
    let (weights, bias) = weights.split_at(weights.len() - O);
    let (row, half) = ((side + 2) * channels, side / 2);
    let mut out = vec![0.0; half * half * O];
    let mut winners = vec![4_u8; half * half * O];

    for cell in 0..half * half {
        let (y, x) = (cell / half, cell % half);
        let out = &mut out[cell * O..][..O];
        let winners = &mut winners[cell * O..][..O];

        for corner in 0..4 {
            let start = (2 * y + corner / 2) * row + (2 * x + corner % 2) * channels;
            let mut sum = [0.0_f32; O];
            sum.copy_from_slice(bias);

            for tap in 0..3 {
                let line = &padded[start + tap * row..][..3 * channels];
                let taps = &weights[tap * 3 * channels * O..][..3 * channels * O];
                for (value, tap) in line.iter().zip(taps.chunks_exact(O)) {
                    for (sum, weight) in sum.iter_mut().zip(tap) {
                        *sum += value * weight;
                    }
                }
            }

            for ((out, winner), sum) in out.iter_mut().zip(winners.iter_mut()).zip(sum) {
                if sum > *out {
                    *out = sum;
                    *winner = corner as u8;
                }
            }
        }
    }

    (padded, out, winners)
}

fn dense(input: &[f32], weights: &[f32], out: &mut [f32]) {
    let (weights, bias) = weights.split_at(weights.len() - out.len());
    out.copy_from_slice(bias);
    for (value, weights) in input.iter().zip(weights.chunks_exact(out.len())) {
        for (sum, weight) in out.iter_mut().zip(weights) {
            *sum += value * weight;
        }
    }
}

pub(crate) fn dense_back(
    input: &[f32],
    weights: &[f32],
    index: usize,
    errors: &[f32],
    gradient: &mut [f32],
) -> Vec<f32> {
    let outputs = errors.len();
    let weights = layer(weights, index);
    let gradient = &mut gradient[OFFSETS[index]..OFFSETS[index + 1]];
    let bias = gradient.len() - outputs;

    gradient[bias..]
        .iter_mut()
        .zip(errors)
        .for_each(|(g, e)| *g += e);

    let mut back = vec![0.0; input.len()];
    for (i, value) in input.iter().enumerate() {
        for (o, error) in errors.iter().enumerate() {
            gradient[i * outputs + o] += value * error;
            back[i] += weights[i * outputs + o] * error;
        }
    }

    back
}

/// Backpropagates through pooling, ReLU and a convolution; returns the errors of its unpadded
/// input.
pub(crate) fn convolve_back<const O: usize>(
    pass: &ForwardPass,
    index: usize,
    weights: &[f32],
    errors: &[f32],
    gradient: &mut [f32],
) -> Vec<f32> {
    let (side, channels) = (SIDES[index], CHANNELS[index]);
    let (row, half) = ((side + 2) * channels, side / 2);
    let padded = &pass.inputs[index];
    let weights = layer(weights, index);
    let gradient = &mut gradient[OFFSETS[index]..OFFSETS[index + 1]];
    let bias = gradient.len() - O;
    // The errors of the picture itself are not needed.
    let mut back = vec![0.0; if index == 0 { 0 } else { padded.len() }];

    for cell in 0..half * half {
        let (y, x) = (cell / half, cell % half);
        for corner in 0..4 {
            let mut here = [0.0_f32; O];
            let mut any = false;
            for (o, value) in here.iter_mut().enumerate() {
                if usize::from(pass.winners[index][cell * O + o]) == corner {
                    *value = errors[cell * O + o];
                    any |= *value != 0.0;
                }
            }

            if !any {
                continue;
            }
            gradient[bias..]
                .iter_mut()
                .zip(here)
                .for_each(|(g, e)| *g += e);

            let start = (2 * y + corner / 2) * row + (2 * x + corner % 2) * channels;
            for tap in 0..3 {
                for i in 0..3 * channels {
                    let at = start + tap * row + i;
                    let from = (tap * 3 * channels + i) * O;
                    let value = padded[at];
                    for (g, e) in gradient[from..from + O].iter_mut().zip(here) {
                        *g += value * e;
                    }

                    if index > 0 {
                        let taps = &weights[from..from + O];
                        back[at] += taps.iter().zip(here).map(|(w, e)| w * e).sum::<f32>();
                    }
                }
            }
        }
    }

    unpad(&back, side, channels)
}

fn unpad(padded: &[f32], side: usize, channels: usize) -> Vec<f32> {
    if padded.is_empty() {
        return Vec::new();
    }
    let row = (side + 2) * channels;
    (1..=side)
        .flat_map(|y| padded[y * row + channels..][..side * channels].to_vec())
        .collect()
}

type ConvolutionOutput = (Vec<f32>, Vec<f32>, Vec<u8>);
