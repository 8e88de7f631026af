//! Measures accuracy on labelled photos.
//!
//! ```text
//! cargo run --release -p coins --example evaluate -- PHOTOS [--negatives FOLDER] [--verbose]
//!     [--currency] [--fold SOURCE,SOURCE… MODELS.bin]…
//! ```
//!
//! Each `--fold` measures the photos of the given sources with models that were not trained on
//! them; without one all photos are measured with the builtin models, which were. `--currency`
//! passes the labelled currency of each photo.

#![expect(clippy::print_stdout, reason = "the output of this tool is its result")]

use std::error::Error;
use std::path::{Path, PathBuf};

use coins::answer::Count;
use coins::classify::Models;
use coins::money::Currency;
use coins::{Options, count_with};
use serde::Deserialize;

#[derive(Deserialize)]
struct Label {
    file: String,
    currency: Currency,
    coins: Vec<LabelledCoin>,
    count: usize,
    total: u32,
}

#[derive(Deserialize)]
struct LabelledCoin {
    denomination: u32,
    x: f32,
    y: f32,
    r: Option<f32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::from_arguments()?;
    let text = std::fs::read(plan.photos.join("labels.json"))?;
    let labels: Vec<Label> = serde_json::from_slice(&text)?;
    let mut sums = [Sums::default(), Sums::default(), Sums::default()];

    for (sources, models) in &plan.folds {
        for label in labels
            .iter()
            .filter(|label| is_from_source(sources, &label.file))
        {
            let result = measure(&plan, models, label)?;
            let currency = usize::from(label.currency == Currency::Eur);
            sums[currency].add(&result);
            sums[2].add(&result);
        }
    }

    for (name, sum) in ["USD", "EUR", "all"].iter().zip(&sums) {
        sum.print(name);
    }
    sums[2].print_calibration();
    if let Some(folder) = &plan.negatives {
        negatives(folder, &plan)?;
    }

    Ok(())
}

struct Plan {
    photos: PathBuf,
    negatives: Option<PathBuf>,
    verbose: bool,
    use_labelled_currency: bool,
    folds: Vec<(Vec<String>, Models)>,
}

impl Plan {
    fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut arguments = std::env::args().skip(1);
        let mut plan = Self {
            photos: PathBuf::new(),
            negatives: None,
            verbose: false,
            use_labelled_currency: false,
            folds: Vec::new(),
        };

        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--negatives" => plan.negatives = arguments.next().map(PathBuf::from),
                "--verbose" => plan.verbose = true,
                "--currency" => plan.use_labelled_currency = true,
                "--fold" => {
                    let sources = arguments.next().ok_or("--fold needs sources")?;
                    let file = arguments.next().ok_or("--fold needs a file of models")?;
                    let bytes = std::fs::read(file)?;
                    let weights = bytes
                        .as_slice()
                        .try_into()
                        .map_err(|_| "not a file of models")?;
                    let sources = sources.split(',').map(str::to_owned).collect();
                    plan.folds.push((sources, Models::from_bytes(weights)));
                }
                folder => plan.photos = PathBuf::from(folder),
            }
        }

        if plan.folds.is_empty() {
            plan.folds.push((Vec::new(), Models::builtin()));
        }
        Ok(plan)
    }
}

fn is_from_source(sources: &[String], file: &str) -> bool {
    let source = file.split('_').nth(1).unwrap_or_default();
    sources.is_empty() || sources.iter().any(|known| known == source)
}

/// The result of one photo.
#[expect(clippy::struct_excessive_bools, reason = "each is summed separately")]
struct PhotoResult {
    exact_count: bool,
    right_total: bool,
    among_three: bool,
    right_currency: bool,
    confidence: f32,
    coins: usize,
    found: usize,
    claimed: usize,
    right_coins: usize,
    milliseconds: u32,
}

fn measure(plan: &Plan, models: &Models, label: &Label) -> Result<PhotoResult, Box<dyn Error>> {
    let bytes = std::fs::read(plan.photos.join(&label.file))?;
    let currency = plan.use_labelled_currency.then_some(label.currency);
    let count = count_with(
        models,
        &bytes,
        Options {
            currency,
            ..Options::default()
        },
    )?
    .count;

    let right_currency = count.currency == Some(label.currency);
    let comparison = compare_coins(label, &count);
    let right_total = right_currency && count.total.minor == label.total;
    let listed = count
        .alternatives
        .iter()
        .take(2)
        .any(|a| a.minor == label.total);

    if plan.verbose {
        print_photo(label, &count, &comparison.mistakes);
    }

    let timing = count.timing_ms;
    Ok(PhotoResult {
        exact_count: count.coins.len() == label.count,
        right_total,
        among_three: right_total || (right_currency && listed),
        right_currency,
        confidence: if count.ambiguous {
            0.0
        } else {
            count.total.confidence
        },
        coins: label.count,
        found: comparison.found,
        claimed: count.coins.len(),
        right_coins: comparison.right,
        milliseconds: timing.decode + timing.detect + timing.classify,
    })
}

/// The labelled coins of a photo, compared with the coins found.
#[derive(Default)]
struct CoinComparison {
    found: usize,
    right: usize,
    mistakes: Vec<String>,
}

fn compare_coins(label: &Label, count: &Count) -> CoinComparison {
    let right_currency = count.currency == Some(label.currency);
    let mut comparison = CoinComparison::default();

    for coin in &label.coins {
        // A coin is found if the centre is within half its radius.
        let near = count.coins.iter().find(|c| {
            let r = coin.r.unwrap_or(c.r);
            (c.x - coin.x).hypot(c.y - coin.y) < 0.5 * r
        });

        comparison.found += usize::from(near.is_some());
        // A right value in the wrong currency is not right.
        let right = right_currency && near.is_some_and(|c| c.denomination == coin.denomination);
        comparison.right += usize::from(right);

        if !right {
            let got = near.map(|c| c.denomination);
            comparison.mistakes.push(format!(
                "{}->{}",
                coin.denomination,
                got.map_or("none".into(), |d| d.to_string())
            ));
        }
    }

    comparison
}

fn print_photo(label: &Label, count: &Count, mistakes: &[String]) {
    let mark = |is_right: bool| if is_right { " " } else { "!" };
    let right_currency = count.currency == Some(label.currency);
    println!(
        "{:42} count {:2} of {:2}{} total {:4} of {:4}{} conf {:.2} {} {}",
        label.file,
        count.coins.len(),
        label.count,
        mark(count.coins.len() == label.count),
        count.total.minor,
        label.total,
        mark(right_currency && count.total.minor == label.total),
        count.total.confidence,
        if right_currency { "" } else { "WRONG CURRENCY" },
        mistakes.join(" "),
    );
}

#[derive(Default)]
struct Sums {
    photos: usize,
    exact_counts: usize,
    right_total: usize,
    among_three: usize,
    right_currency: usize,
    coins: usize,
    found: usize,
    claimed: usize,
    right_coins: usize,
    milliseconds: u32,
    sure: Vec<(f32, bool)>,
}

impl Sums {
    fn add(&mut self, result: &PhotoResult) {
        self.photos += 1;
        self.exact_counts += usize::from(result.exact_count);
        self.right_total += usize::from(result.right_total);
        self.among_three += usize::from(result.among_three);
        self.right_currency += usize::from(result.right_currency);
        self.coins += result.coins;
        self.found += result.found;
        self.claimed += result.claimed;
        self.right_coins += result.right_coins;
        self.milliseconds += result.milliseconds;
        self.sure.push((result.confidence, result.right_total));
    }

    fn print(&self, name: &str) {
        let photos = self.photos;
        println!(
            "{name}: {photos} photos | count exact {} | total exact {} | among 3 totals {} | \
             currency {} | coins {} found {} claimed {} denomination right {} ({:.1}%) | {} ms a photo",
            self.exact_counts,
            self.right_total,
            self.among_three,
            self.right_currency,
            self.coins,
            self.found,
            self.claimed,
            self.right_coins,
            100.0 * self.right_coins as f32 / self.coins.max(1) as f32,
            self.milliseconds as usize / photos.max(1),
        );
    }

    fn print_calibration(&self) {
        for least in [0.6, 0.8, 0.9] {
            let sure: Vec<_> = self.sure.iter().filter(|(c, _)| *c >= least).collect();
            let right = sure.iter().filter(|(_, right)| *right).count();
            println!("confidence >= {least}: {right} right of {}", sure.len());
        }
    }
}

fn negatives(folder: &Path, plan: &Plan) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();

    let mut none = 0;
    for (i, file) in files.iter().enumerate() {
        // Models trained on `kaa…` saw every second picture and the others the rest, so each
        // picture is measured with the models that did not see it.
        let models = &plan.folds[(i + 1) % plan.folds.len()].1;
        let count = count_with(models, &std::fs::read(file)?, Options::default())?.count;
        none += usize::from(count.coins.is_empty());

        if !count.coins.is_empty() {
            println!("{}: {} false coins", file.display(), count.coins.len());
        }
    }

    println!(
        "pictures without coins: {none} of {} have none found",
        files.len()
    );

    Ok(())
}
