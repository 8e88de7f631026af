//! The examples of an epoch: crops of coins and of wrong circles, in varied positions and light.

use coins::classify::{CROP_SIDE, Crop, crop};
use coins::detect::Circle;

use crate::data::TrainingScene;
use crate::random::Random;

/// A training example: its crop, and its metal if it is a coin.
pub(crate) struct Example {
    pub(crate) crop: Crop,
    pub(crate) metal: Option<usize>,
}

/// Returns the examples of an epoch: coins twice, wrong circles, and coins with a wrong circle
/// around them.
pub(crate) fn examples(scenes: &[TrainingScene], random: &mut Random) -> Vec<Example> {
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

const WRONG_AN_EPOCH: usize = 5000;
