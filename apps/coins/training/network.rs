//! Trains the network: the layers of `classify::Net` with backpropagation.

use coins::classify::shape::{CHANNELS, FLAT, HIDDEN, OFFSETS};
use coins::classify::{NET_WEIGHTS, OUTPUTS, softmax};

use crate::data::TrainingScene;
use crate::examples::{Example, examples};
use crate::layers::{convolve_back, dense_back, forward};
use crate::random::Random;

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

const BATCH: usize = 64;
const RATE: f32 = 0.002;
const DECAY: f32 = 0.02;
const METAL_WEIGHT: f32 = 0.4;

#[cfg(test)]
mod tests {
    use coins::classify::{CROP_SIDE, Crop};

    use super::*;

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
}
