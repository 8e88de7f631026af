//! Finds the scale, the tilt and the denominations that fit all coins at once.
//!
//! No coin is known beforehand: a coin's diameter in millimetres follows from the scale, and the
//! scale follows from coins with the right denomination. So many scales are tried, each is refined
//! to an assignment, and the assignments compete. Those nearly as good as the best are the
//! alternatives; their share of the weight determines the confidence.

use std::collections::HashMap;

use crate::classify::softmax;
use crate::money::{CoinKind, Currency, Metal};

/// The measurements of one coin.
#[derive(Debug, Clone, Copy)]
pub struct CoinMeasurement {
    /// The position relative to the middle of the photo, in units of its long side.
    pub position: (f32, f32),
    /// The diameter in pixels.
    pub diameter: f32,
    /// The score of each metal, in the order of [`Metal::ALL`].
    pub metals: [f32; Metal::ALL.len()],
}

/// An assignment of denominations to all coins.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// For each coin the index of its kind in [`Currency::coins`].
    pub kinds: Vec<usize>,
    /// The cost; the smaller the better.
    pub cost: f32,
    /// Pixels per millimetre in the middle of the photo.
    pub scale: f32,
    /// Change of the logarithm of the scale over one long side of the photo, to the right and
    /// downwards.
    pub tilt: (f32, f32),
}

/// All assignments for one currency, the best first; their weights sum to one.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The assumed currency.
    pub currency: Currency,
    /// The assignments and their weights.
    pub assignments: Vec<(Assignment, f32)>,
    /// How well the currency explains the photo; comparable between currencies.
    pub evidence: f32,
}

impl Ranking {
    /// Returns the distinct totals with their weights and the index of the best assignment of each,
    /// the heaviest first.
    pub fn totals(&self) -> Vec<(u32, f32, usize)> {
        let mut totals: Vec<(u32, f32, usize)> = Vec::new();
        for (i, (assignment, weight)) in self.assignments.iter().enumerate() {
            let total = self.total(assignment);
            match totals.iter_mut().find(|known| known.0 == total) {
                Some(known) => known.1 += weight,
                None => totals.push((total, *weight, i)),
            }
        }

        totals.sort_by(|a, b| b.1.total_cmp(&a.1));
        totals
    }

    /// Returns the total of an assignment.
    pub fn total(&self, assignment: &Assignment) -> u32 {
        let coins = self.currency.coins();
        assignment.kinds.iter().map(|&kind| coins[kind].value).sum()
    }
}

/// Ranks the assignments in one currency; `None` without coins.
pub fn rank(currency: Currency, measurements: &[CoinMeasurement]) -> Option<Ranking> {
    let problem = FitProblem::new(currency.coins(), measurements)?;
    let mut found: HashMap<Vec<usize>, Assignment> = HashMap::new();
    let mut keep = |assignment: Assignment| {
        let known = found
            .entry(assignment.kinds.clone())
            .or_insert_with(|| assignment.clone());
        if assignment.cost < known.cost {
            *known = assignment;
        }
    };

    for step in 0..problem.steps {
        keep(problem.refine(problem.lowest + step as f32 * SCALE_STEP));
    }

    let mut assignments: Vec<Assignment> = found.into_values().collect();
    sort(&mut assignments);
    // Refinement can only reach assignments near a common scale; single changes add their
    // neighbours.
    for assignment in assignments.clone().iter().take(MAX_VARIED) {
        for changed in problem.single_changes(assignment) {
            if !assignments.iter().any(|known| known.kinds == changed.kinds) {
                assignments.push(changed);
            }
        }
    }

    sort(&mut assignments);
    assignments.truncate(MAX_ASSIGNMENTS);
    Some(into_ranking(currency, assignments))
}

fn sort(assignments: &mut [Assignment]) {
    assignments.sort_by(|a, b| {
        a.cost
            .total_cmp(&b.cost)
            .then_with(|| a.kinds.cmp(&b.kinds))
    });
}

fn into_ranking(currency: Currency, assignments: Vec<Assignment>) -> Ranking {
    let best = assignments
        .first()
        .map_or(0.0, |assignment| assignment.cost);
    // A Boltzmann distribution over the costs, relative to the best one to avoid underflow.
    let powers: Vec<f32> = assignments
        .iter()
        .map(|w| (-(w.cost - best) / TEMPERATURE).exp())
        .collect();
    let sum: f32 = powers.iter().sum();
    let evidence = sum.ln() * TEMPERATURE - best;
    let assignments = assignments
        .into_iter()
        .zip(powers)
        .map(|(assignment, power)| (assignment, power / sum))
        .collect();

    Ranking {
        currency,
        assignments,
        evidence,
    }
}

/// The precomputed tables of a fit.
struct FitProblem<'a> {
    measurements: &'a [CoinMeasurement],
    /// The logarithm of each kind's diameter.
    sizes: Vec<f32>,
    /// The colour cost of each coin and kind.
    colour: Vec<Vec<f32>>,
    /// The logarithm of each coin's diameter.
    widths: Vec<f32>,
    lowest: f32,
    steps: usize,
}

impl<'a> FitProblem<'a> {
    fn new(kinds: &[CoinKind], measurements: &'a [CoinMeasurement]) -> Option<Self> {
        let sizes: Vec<f32> = kinds.iter().map(|kind| kind.diameter.ln()).collect();
        let widths: Vec<f32> = measurements.iter().map(|coin| coin.diameter.ln()).collect();
        let colour = measurements
            .iter()
            .map(|coin| colour_costs(kinds, coin))
            .collect();
        let mut sorted = widths.clone();

        sorted.sort_by(f32::total_cmp);
        let middle = *sorted.get(sorted.len() / 2)?;
        let least = sizes.iter().copied().fold(f32::MAX, f32::min);
        let most = sizes.iter().copied().fold(f32::MIN, f32::max);
        // From "the middle coin is the widest kind" to "it is the narrowest", with a margin.
        let lowest = middle - most - 0.05;
        let steps = ((middle - least + 0.05 - lowest) / SCALE_STEP).ceil() as usize;

        Some(Self {
            measurements,
            sizes,
            colour,
            widths,
            lowest,
            steps,
        })
    }

    /// Starts at a scale and alternates between assigning denominations and fitting scale and tilt.
    fn refine(&self, scale: f32) -> Assignment {
        let mut view = [f64::from(scale), 0.0, 0.0];
        let mut kinds = self.assign(view);
        for _ in 0..ROUNDS {
            view = self.view(&kinds, view);
            let next = self.assign(view);
            if next == kinds {
                break;
            }
            kinds = next;
        }

        self.assignment(kinds, view)
    }

    /// Returns the cheapest kind for each coin.
    fn assign(&self, view: [f64; 3]) -> Vec<usize> {
        let cheapest = |coin: usize| {
            (0..self.sizes.len())
                .min_by(|&a, &b| {
                    self.cost(coin, a, view)
                        .total_cmp(&self.cost(coin, b, view))
                })
                .unwrap_or(0)
        };
        (0..self.measurements.len()).map(cheapest).collect()
    }

    fn cost(&self, coin: usize, kind: usize, view: [f64; 3]) -> f32 {
        let z = self.size_error(coin, kind, view) / SIZE_SPREAD;
        self.colour[coin][kind] + (0.5 * z * z).min(MAX_SIZE_COST)
    }

    /// Returns how much wider the coin is than its kind, as a logarithm.
    fn size_error(&self, coin: usize, kind: usize, view: [f64; 3]) -> f32 {
        let (x, y) = self.measurements[coin].position;
        let scale = view[0] as f32 + view[1] as f32 * x + view[2] as f32 * y;
        self.widths[coin] - scale - self.sizes[kind]
    }

    /// Returns the scale and tilt that fit an assignment best; coins that fit badly have little
    /// weight.
    fn view(&self, kinds: &[usize], before: [f64; 3]) -> [f64; 3] {
        let mut m = [[0.0_f64; 4]; 3];
        for (coin, &kind) in kinds.iter().enumerate() {
            let z = f64::from(self.size_error(coin, kind, before) / SIZE_SPREAD);
            // Weights of a robust estimator: iteratively reweighted least squares.
            let weight = 1.0 / (1.0 + z * z / 6.0);
            let (x, y) = self.measurements[coin].position;
            let row = [1.0, f64::from(x), f64::from(y)];
            let target = f64::from(self.widths[coin] - self.sizes[kind]);

            for i in 0..3 {
                for j in 0..3 {
                    m[i][j] += weight * row[i] * row[j];
                }
                m[i][3] += weight * row[i] * target;
            }
        }

        // A prior on the tilt, so that two coins cannot imply a steep one.
        let stiff = f64::from(SIZE_SPREAD / TILT_SPREAD).powi(2);
        m[1][1] += stiff;
        m[2][2] += stiff;
        solve3(m).unwrap_or(before)
    }

    fn assignment(&self, kinds: Vec<usize>, view: [f64; 3]) -> Assignment {
        let tilt = (view[1] as f32, view[2] as f32);
        let lean = (tilt.0 * tilt.0 + tilt.1 * tilt.1) / (2.0 * TILT_SPREAD * TILT_SPREAD);
        let coins: f32 = kinds
            .iter()
            .enumerate()
            .map(|(i, &kind)| self.cost(i, kind, view))
            .sum();

        Assignment {
            kinds,
            cost: coins + lean,
            scale: (view[0] as f32).exp(),
            tilt,
        }
    }

    /// Returns the assignments with one coin changed, for each coin and plausible kind.
    fn single_changes(&self, assignment: &Assignment) -> Vec<Assignment> {
        let view = [
            f64::from(assignment.scale.ln()),
            f64::from(assignment.tilt.0),
            f64::from(assignment.tilt.1),
        ];
        let mut single_changes = Vec::new();

        for coin in 0..assignment.kinds.len() {
            for kind in 0..self.sizes.len() {
                let more =
                    self.cost(coin, kind, view) - self.cost(coin, assignment.kinds[coin], view);
                // e^-6 is below a percent, so such an assignment cannot matter.
                if kind != assignment.kinds[coin] && more < 6.0 {
                    let mut kinds = assignment.kinds.clone();
                    kinds[coin] = kind;
                    let view = self.view(&kinds, view);
                    single_changes.push(self.assignment(kinds, view));
                }
            }
        }

        single_changes
    }
}

/// Returns the colour cost of each kind for a coin.
fn colour_costs(kinds: &[CoinKind], coin: &CoinMeasurement) -> Vec<f32> {
    let shares = softmax(coin.metals);
    let cost = |kind: &CoinKind| {
        let share = Metal::ALL
            .iter()
            .zip(shares)
            .find(|(metal, _)| **metal == kind.metal)
            .map_or(0.0, |(_, share)| share);
        -(share * (1.0 - DOUBT) + DOUBT / Metal::ALL.len() as f32).ln()
    };

    // A uniform prior over kinds: a currency with more kinds must explain more to be as likely.
    let prior = (kinds.len() as f32).ln();
    kinds.iter().map(|kind| cost(kind) + prior).collect()
}

/// Solves three linear equations by Gauss-Jordan elimination with pivoting.
pub(crate) fn solve3(mut m: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for i in 0..3 {
        let pivot = (i..3).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-12 {
            return None;
        }

        let pivot_row = m[i];
        for (_, row) in m.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let share = row[i] / pivot_row[i];
            for (value, above) in row.iter_mut().zip(pivot_row) {
                *value -= share * above;
            }
        }
    }

    Some([m[0][3] / m[0][0], m[1][3] / m[1][1], m[2][3] / m[2][2]])
}

/// The step between the tried scales, as a logarithm.
const SCALE_STEP: f32 = 0.012;
/// The standard deviation of a measured diameter, as a logarithm.
const SIZE_SPREAD: f32 = 0.026;
/// The maximum cost of one coin's size: a shadow can look like a rim.
const MAX_SIZE_COST: f32 = 6.0;
/// The standard deviation of the tilt of a photo.
const TILT_SPREAD: f32 = 0.2;
/// The share of coins with an unusual colour.
const DOUBT: f32 = 0.02;
/// Scales the costs, which are over-confident: sizes in one photo have correlated errors.
const TEMPERATURE: f32 = 1.0;
const ROUNDS: usize = 4;
const MAX_VARIED: usize = 12;
const MAX_ASSIGNMENTS: usize = 400;
