//! Trains the colour classes: logistic regression over photos under many simulated lights.

use coins::classify::{COLOUR_FEATURES, Colours, Patch, features, softmax};
use coins::detect::Circle;
use coins::money::Metal;

use crate::data::TrainingScene;
use crate::random::Random;

const CLASSES: usize = Metal::ALL.len();

/// Returns the weights in the order of [`Colours::new`].
pub(crate) fn train(scenes: &[&TrainingScene]) -> Vec<f32> {
    let mut random = Random(2);
    let (rows, metals, shares) = samples(scenes, &mut random);
    let mut weights = initial_weights(&rows);
    let mut moments = vec![(0.0_f32, 0.0_f32); Colours::WEIGHTS];

    for round in 1..=ROUNDS {
        let model = Colours::new(weights.clone());
        let mut gradient = vec![0.0_f32; Colours::WEIGHTS];
        let mut loss = 0.0;

        for ((row, &metal), &share) in rows.iter().zip(&metals).zip(&shares) {
            let mut errors = softmax(model.scores(row));
            loss -= share * errors[metal].max(1e-6).ln();
            // The gradient of softmax with cross-entropy: probability minus truth.
            errors[metal] -= 1.0;

            for (i, value) in row.iter().enumerate() {
                let at = i * (2 + CLASSES);
                let value = ((value - weights[at]) / weights[at + 1].max(1e-3)).clamp(-4.0, 4.0);
                for (class, error) in errors.iter().enumerate() {
                    gradient[at + 2 + class] += share * error * value;
                }
            }

            for (class, error) in errors.iter().enumerate() {
                gradient[COLOUR_FEATURES * (2 + CLASSES) + class] += share * error;
            }
        }

        step(&mut weights, &gradient, &mut moments, round);
        if round % 100 == 0 {
            eprintln!("colours: round {round}, loss {loss:.4}");
        }
    }

    weights
}

/// Returns every photo under its own and `LIGHTS` other lights. A photo is weighted by the root of
/// its number of coins: fifty coins in one photo are one sample of the light, not fifty.
fn samples(
    scenes: &[&TrainingScene],
    random: &mut Random,
) -> (Vec<[f32; COLOUR_FEATURES]>, Vec<usize>, Vec<f32>) {
    let (mut rows, mut metals, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for scene in scenes.iter().filter(|scene| !scene.coins.is_empty()) {
        let circles: Vec<Circle> = scene.coins.iter().map(|coin| coin.0).collect();
        let patches: Vec<Patch> = circles
            .iter()
            .map(|c| Patch::measure(&scene.pyramid, c, &circles))
            .collect();

        for light in 0..=LIGHTS {
            let spread = if light == 0 { 0.0 } else { 1.0 };
            let strength = random.normal(0.4 * spread).exp();
            let warmth = random.normal(0.09 * spread);
            let green = random.normal(0.05 * spread);
            // Lights differ mostly along the axis from red to blue.
            let gains = [warmth, green, -warmth].map(|gain| strength * gain.exp());
            let lit: Vec<Patch> = patches
                .iter()
                .map(|patch| patch.with_light(gains))
                .collect();

            // Some photos are also divided into several photos with few coins each.
            let groups = if light % 3 == 2 { 1 + lit.len() / 6 } else { 1 };
            for group in 0..groups {
                let part: Vec<usize> = (group..lit.len()).step_by(groups).collect();
                let chosen: Vec<Patch> = part.iter().map(|&i| lit[i]).collect();
                rows.extend(features(&chosen));
                metals.extend(part.iter().map(|&i| scene.coins[i].1));
                shares.extend(part.iter().map(|_| (patches.len() as f32).powf(-0.5)));
            }
        }
    }

    let sum: f32 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }

    (rows, metals, shares)
}

/// Returns zero weights with the mean and standard deviation of each feature.
fn initial_weights(rows: &[[f32; COLOUR_FEATURES]]) -> Vec<f32> {
    let mut weights = vec![0.0; Colours::WEIGHTS];
    let count = rows.len() as f32;
    for i in 0..COLOUR_FEATURES {
        let mean = rows.iter().map(|row| row[i]).sum::<f32>() / count;
        let square = rows.iter().map(|row| (row[i] - mean).powi(2)).sum::<f32>() / count;
        weights[i * (2 + CLASSES)] = mean;
        weights[i * (2 + CLASSES) + 1] = square.sqrt();
    }
    weights
}

/// Performs one step of Adam with weight decay; means, deviations and biases are not decayed.
fn step(weights: &mut [f32], gradient: &[f32], moments: &mut [(f32, f32)], round: usize) {
    let rate = 0.03 * (1.0 - round as f32 / (ROUNDS as f32 + 1.0));
    for (i, ((weight, gradient), moment)) in
        weights.iter_mut().zip(gradient).zip(moments).enumerate()
    {
        let bias = i >= COLOUR_FEATURES * (2 + CLASSES);
        if !bias && i % (2 + CLASSES) < 2 {
            continue;
        }

        let gradient = gradient + if bias { 0.0 } else { DECAY * *weight };
        moment.0 = 0.9 * moment.0 + 0.1 * gradient;
        moment.1 = 0.999 * moment.1 + 0.001 * gradient * gradient;
        let first = moment.0 / (1.0 - 0.9_f32.powi(round as i32));
        let second = moment.1 / (1.0 - 0.999_f32.powi(round as i32));
        *weight -= rate * first / (second.sqrt() + 1e-8);
    }
}

const ROUNDS: usize = 300;
const LIGHTS: usize = 8;
const DECAY: f32 = 0.002;
