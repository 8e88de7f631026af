//! Trains the network: the layers of `classify::Net` with backpropagation.

use coins::classify::shape::{CHANNELS, FLAT, HIDDEN, OFFSETS, SIDES};
use coins::classify::{CROP_SIDE, Crop, NET_WEIGHTS, OUTPUTS, crop, softmax};
use coins::detect::Circle;

use crate::data::TrainingScene;
use crate::random::Random;

/// A training example: its crop, and its metal if it is a coin.
struct Example {
    crop: Crop,
    metal: Option<usize>,
}

/// Trains for `epochs` passes over the circles of all scenes and returns the weights.
pub(crate) fn train(scenes: &[TrainingScene], epochs: usize) -> Vec<f32> {
    let mut random = Random(1);
    let mut weights = initial(&mut random);
    let mut moments = vec![(0.0_f32, 0.0_f32); NET_WEIGHTS];
    let mut step = 0;

    for epoch in 0..epochs {
        let examples = examples(scenes, &mut random);
        let batches = examples.len() / BATCH;
        let mut loss = 0.0;

        for batch in examples.chunks(BATCH) {
            let (batch_loss, gradient) = gradient(&weights, batch);
            loss += batch_loss;
            step += 1;
            let progress = step as f32 / (epochs * (batches + 1)) as f32;
            // Cosine decay of the learning rate.
            let rate = RATE * 0.5 * (1.0 + (progress.min(1.0) * std::f32::consts::PI).cos());
            adam(&mut weights, &gradient, &mut moments, rate, step);
        }

        let right = examples.iter().filter(|e| is_right(&weights, e)).count();
        eprintln!(
            "network: epoch {}, loss {:.4}, right {right} of {}",
            epoch + 1,
            loss / examples.len() as f32,
            examples.len()
        );
    }

    weights
}

fn is_right(weights: &[f32], example: &Example) -> bool {
    (forward(weights, &example.crop).scores[0] > 0.0) == example.metal.is_some()
}

/// Returns initial weights by He et al. (2015), suited for ReLU.
fn initial(random: &mut Random) -> Vec<f32> {
    let mut weights = vec![0.0; NET_WEIGHTS];
    let inputs = [
        9 * CHANNELS[0],
        9 * CHANNELS[1],
        9 * CHANNELS[2],
        FLAT,
        HIDDEN,
    ];

    let outputs = [CHANNELS[1], CHANNELS[2], CHANNELS[3], HIDDEN, OUTPUTS];
    for layer in 0..5 {
        let spread = (2.0 / inputs[layer] as f32).sqrt();
        for weight in &mut weights[OFFSETS[layer]..OFFSETS[layer + 1] - outputs[layer]] {
            *weight = random.normal(spread);
        }
    }

    weights
}

/// Returns the examples of an epoch: coins twice, wrong circles, and coins with a wrong circle
/// around them.
fn examples(scenes: &[TrainingScene], random: &mut Random) -> Vec<Example> {
    let mut examples = Vec::new();
    let wrong: usize = scenes.iter().map(|scene| scene.wrong.len()).sum();
    // Wrong circles outnumber coins; each epoch uses a random part of them.
    let share = WRONG_AN_EPOCH as f32 / wrong.max(1) as f32;

    for scene in scenes {
        let coins = scene.coins.iter().chain(&scene.coins).chain(&scene.others);
        for (circle, metal) in coins {
            let crop = augment(scene, &jitter(circle, 0.03, random), random);
            examples.push(Example {
                crop,
                metal: Some(*metal),
            });
        }

        for circle in &scene.wrong {
            if random.between(0.0, 1.0) < share {
                let crop = augment(scene, &jitter(circle, 0.02, random), random);
                examples.push(Example { crop, metal: None });
            }
        }

        for (circle, _) in &scene.coins {
            let crop = augment(scene, &misplace(circle, random), random);
            examples.push(Example { crop, metal: None });
        }
    }

    // Fisher-Yates shuffle.
    for i in (1..examples.len()).rev() {
        examples.swap(i, random.below(i + 1));
    }
    examples
}

fn jitter(circle: &Circle, share: f32, random: &mut Random) -> Circle {
    Circle {
        x: circle.x + circle.r * random.between(-share, share),
        y: circle.y + circle.r * random.between(-share, share),
        r: circle.r * (1.0 + random.between(-share, share)),
        ..*circle
    }
}

/// Returns a circle that is too small, too large, or beside the coin.
fn misplace(circle: &Circle, random: &mut Random) -> Circle {
    let (ratio, aside) = match random.below(3) {
        0 => (random.between(0.5, 0.86), random.between(0.0, 0.1)),
        1 => (random.between(1.16, 1.6), random.between(0.0, 0.1)),
        _ => (random.between(0.8, 1.2), random.between(0.25, 1.1)),
    };

    let (sin, cos) = random.between(0.0, std::f32::consts::TAU).sin_cos();
    Circle {
        x: circle.x + cos * aside * circle.r,
        y: circle.y + sin * aside * circle.r,
        r: circle.r * ratio,
        ..*circle
    }
}

/// Returns the crop of a circle, rotated, mirrored and in another light.
fn augment(scene: &TrainingScene, circle: &Circle, random: &mut Random) -> Crop {
    let mut crop = crop(
        &scene.pyramid,
        circle,
        random.between(0.0, std::f32::consts::TAU),
    );

    if random.below(2) == 0 {
        for row in crop.chunks_exact_mut(CROP_SIDE * 3) {
            for x in 0..CROP_SIDE / 2 {
                for c in 0..3 {
                    row.swap(x * 3 + c, (CROP_SIDE - 1 - x) * 3 + c);
                }
            }
        }
    }

    // Changes of contrast and colour balance, as by other cameras and lamps.
    let contrast = random.normal(0.12).exp();
    let gain: [f32; 3] = std::array::from_fn(|_| contrast * random.normal(0.06).exp());
    let shift: [f32; 3] = std::array::from_fn(|_| random.normal(0.2));

    for pixel in crop.chunks_exact_mut(3) {
        for c in 0..3 {
            pixel[c] = pixel[c] * gain[c] + shift[c];
        }
    }

    crop
}

/// Intermediate results needed for backpropagation.
struct ForwardPass {
    /// The padded input of each convolution.
    inputs: [Vec<f32>; 3],
    /// For each pooled output which of its four inputs was the maximum; 4 when none was above zero.
    winners: [Vec<u8>; 3],
    flat: Vec<f32>,
    hidden: [f32; HIDDEN],
    scores: [f32; OUTPUTS],
}

fn forward(weights: &[f32], crop: &Crop) -> ForwardPass {
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

type ConvolutionOutput = (Vec<f32>, Vec<f32>, Vec<u8>);

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

/// Returns loss and gradient of a batch, computed on two threads.
fn gradient(weights: &[f32], batch: &[Example]) -> (f32, Vec<f32>) {
    let part = |examples: &[Example]| {
        let mut gradient = vec![0.0_f32; NET_WEIGHTS];
        let loss: f32 = examples
            .iter()
            .map(|e| backward(weights, e, &mut gradient))
            .sum();
        (loss, gradient)
    };

    // Summing the halves in a fixed order keeps training reproducible.
    let (left, right) = batch.split_at(batch.len() / 2);
    let ((loss, mut sum), (more, other)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| part(right));
        (
            part(left),
            other.join().expect("a training thread does not panic"),
        )
    });

    let count = batch.len() as f32;
    sum.iter_mut()
        .zip(other)
        .for_each(|(a, b)| *a = (*a + b) / count);

    (loss + more, sum)
}

/// Adds the gradient of an example and returns its loss.
fn backward(weights: &[f32], example: &Example, gradient: &mut [f32]) -> f32 {
    let pass = forward(weights, &example.crop);
    let mut errors = [0.0; OUTPUTS];
    let coin = 1.0 / (1.0 + (-pass.scores[0]).exp());
    // Logistic loss for "a coin", and cross-entropy over the metals for coins only.
    let truth = if example.metal.is_some() { 1.0 } else { 0.0 };

    errors[0] = coin - truth;
    let mut loss = -(1.0 - (coin - truth).abs()).max(1e-7).ln();
    if let Some(metal) = example.metal {
        let metals: [f32; OUTPUTS - 1] = std::array::from_fn(|i| pass.scores[i + 1]);
        let shares = softmax(metals);
        loss -= METAL_WEIGHT * shares[metal].max(1e-7).ln();

        for (i, share) in shares.into_iter().enumerate() {
            let truth = if i == metal { 1.0 } else { 0.0 };
            errors[i + 1] = METAL_WEIGHT * (share - truth);
        }
    }

    let hidden = dense_back(&pass.hidden, weights, 4, &errors, gradient);
    let hidden: Vec<f32> = hidden
        .iter()
        .zip(pass.hidden)
        .map(|(e, v)| if v > 0.0 { *e } else { 0.0 })
        .collect();
    let flat = dense_back(&pass.flat, weights, 3, &hidden, gradient);
    let second = convolve_back::<{ CHANNELS[3] }>(&pass, 2, weights, &flat, gradient);
    let first = convolve_back::<{ CHANNELS[2] }>(&pass, 1, weights, &second, gradient);

    convolve_back::<{ CHANNELS[1] }>(&pass, 0, weights, &first, gradient);
    loss
}

fn dense_back(
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
fn convolve_back<const O: usize>(
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

fn adam(weights: &mut [f32], gradient: &[f32], moments: &mut [(f32, f32)], rate: f32, step: i32) {
    // Bias correction of both moments (Kingma and Ba 2015).
    let (first, second) = (1.0 - 0.9_f32.powi(step), 1.0 - 0.999_f32.powi(step));
    for ((weight, gradient), moment) in weights.iter_mut().zip(gradient).zip(moments) {
        moment.0 = 0.9 * moment.0 + 0.1 * gradient;
        moment.1 = 0.999 * moment.1 + 0.001 * gradient * gradient;
        let step = moment.0 / first / ((moment.1 / second).sqrt() + 1e-8);
        *weight -= rate * (step + DECAY * *weight);
    }
}

/// Training and inference implement the same layers, so their scores must agree.
#[test]
fn training_and_inference_give_the_same_scores() {
    let mut random = Random(3);
    let weights = initial(&mut random);
    let crop: Crop = (0..CROP_SIDE * CROP_SIDE * 3)
        .map(|_| random.normal(1.0))
        .collect();
    let (ours, theirs) = (
        forward(&weights, &crop).scores,
        coins::classify::Net::new(weights).scores(&crop),
    );

    assert!(
        ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-3),
        "{ours:?} {theirs:?}"
    );
}

const BATCH: usize = 64;
const RATE: f32 = 0.002;
const DECAY: f32 = 0.02;
const METAL_WEIGHT: f32 = 0.4;
const WRONG_AN_EPOCH: usize = 5000;
