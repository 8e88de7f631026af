//! Loads labelled photos and divides the detected circles into coins and others.

use std::error::Error;
use std::path::Path;

use coins::detect::{self, Circle};
use coins::money::{Currency, Metal};
use coins::photo::{PhotoLimits, decode};
use coins::raster::Pyramid;
use serde::Deserialize;

/// A picture and its labelled circles.
pub(crate) struct TrainingScene {
    pub(crate) pyramid: Pyramid,
    /// One circle per coin, with its metal: the detected one if there is one, else the label's.
    pub(crate) coins: Vec<(Circle, usize)>,
    /// Further correct circles, with the metal.
    pub(crate) others: Vec<(Circle, usize)>,
    /// Circles that are not coins.
    pub(crate) wrong: Vec<Circle>,
}

#[derive(Deserialize)]
struct Label {
    file: String,
    currency: Currency,
    coins: Vec<LabelledCoin>,
}

#[derive(Deserialize)]
struct LabelledCoin {
    denomination: u32,
    x: f32,
    y: f32,
    r: Option<f32>,
}

/// Loads the photos of the given sources and their negatives.
pub(crate) fn scenes(
    photos: &Path,
    negatives: &Path,
    sources: &[&str],
) -> Result<Vec<TrainingScene>, Box<dyn Error>> {
    let mut labels: Vec<Label> =
        serde_json::from_slice(&std::fs::read(photos.join("labels.json"))?)?;
    let is_selected = |label: &Label| {
        let source = label.file.split('_').nth(1).unwrap_or_default();
        sources.is_empty() || sources.contains(&source)
    };

    labels.retain(is_selected);
    let mut others: Vec<_> = std::fs::read_dir(negatives)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();

    // The order of a directory is arbitrary; the division must be reproducible.
    others.sort();
    // Sources that start with `kaa` use the even negatives, others the odd ones.
    let even = sources.first() == Some(&"kaa");
    let mut index = 0;

    others.retain(|_| {
        index += 1;
        sources.is_empty() || (index % 2 == 0) == even
    });

    let mut scenes = Vec::new();
    for label in &labels {
        scenes.push(load_labelled(&photos.join(&label.file), label)?);
    }

    for path in &others {
        let pyramid = Pyramid::new(decode(&std::fs::read(path)?, PhotoLimits::default())?.working);
        let wrong = detect::circles(&pyramid);
        scenes.push(TrainingScene {
            pyramid,
            coins: Vec::new(),
            others: Vec::new(),
            wrong,
        });
    }

    Ok(scenes)
}

fn load_labelled(path: &Path, label: &Label) -> Result<TrainingScene, Box<dyn Error>> {
    let photo = decode(&std::fs::read(path)?, PhotoLimits::default())?;
    let truth = labelled_coins(label, photo.scale);
    let pyramid = Pyramid::new(photo.working);

    let mut best: Vec<Option<(f32, Circle)>> = vec![None; truth.len()];
    let (mut others, mut wrong) = (Vec::new(), Vec::new());
    for circle in detect::circles(&pyramid) {
        let nearest = truth
            .iter()
            .enumerate()
            .map(|(i, coin)| (i, coin.distance(&circle)))
            .min_by(|a, b| a.1.total_cmp(&b.1));

        match nearest {
            Some((i, off)) if off < 0.07 => {
                others.push((circle, truth[i].metal));
                if best[i].is_none_or(|(least, _)| off < least) {
                    best[i] = Some((off, circle));
                }
            }
            // Neither right nor clearly wrong: left out of the training.
            Some((_, off)) if off < 0.13 => {}
            _ => wrong.push(circle),
        }
    }

    let coins = truth
        .iter()
        .zip(best)
        .filter(|(coin, best)| coin.has_known_radius || best.is_some())
        .map(|(coin, best)| (best.map_or(coin.circle, |best| best.1), coin.metal))
        .collect();

    Ok(TrainingScene {
        pyramid,
        coins,
        others,
        wrong,
    })
}

/// A coin of a label, in the scale in which circles are detected.
struct TrueCoin {
    circle: Circle,
    metal: usize,
    has_known_radius: bool,
}

impl TrueCoin {
    /// Returns how far a circle is from this coin, in position or in size.
    fn distance(&self, circle: &Circle) -> f32 {
        let coin = &self.circle;
        let apart = (circle.x - coin.x).hypot(circle.y - coin.y) / coin.r;
        // An estimated radius is less reliable, so its error counts less.
        let weight = if self.has_known_radius { 1.0 } else { 0.4 };
        let wider = (circle.r / coin.r).ln().abs() * weight;
        apart.max(wider)
    }
}

fn labelled_coins(label: &Label, scale: f32) -> Vec<TrueCoin> {
    let mut known: Vec<f32> = label.coins.iter().filter_map(|coin| coin.r).collect();
    known.sort_by(f32::total_cmp);
    // Some labels have no radius; the median of the photo is used.
    let middle = known[known.len() / 2];

    let coins = label.coins.iter().map(|coin| TrueCoin {
        circle: Circle {
            x: coin.x / scale,
            y: coin.y / scale,
            r: coin.r.unwrap_or(middle) / scale,
            coverage: 1.0,
            contrast: 0.5,
        },
        metal: metal(label.currency, coin.denomination),
        has_known_radius: coin.r.is_some(),
    });
    coins.collect()
}

fn metal(currency: Currency, value: u32) -> usize {
    let kind = currency.coins().iter().find(|kind| kind.value == value);
    let position = |metal| Metal::ALL.iter().position(|known| *known == metal);
    kind.and_then(|kind| position(kind.metal))
        .expect("labels contain only known coins")
}
