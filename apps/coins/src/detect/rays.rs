//! Measures a circle: rays from the centre find the edge near the radius, and a circle is fitted
//! through those points.

use super::Circle;
use crate::raster::{Pyramid, Raster, grow, shrink};

/// Measures with few rays over a wide range of radii.
pub(super) fn coarse(pyramid: &Pyramid, x: f32, y: f32, r: f32) -> Option<Circle> {
    let (raster, factor) = pyramid.level_for(r, 14.0);
    let start = Circle {
        x: shrink(x, factor),
        y: shrink(y, factor),
        r: r / factor,
        coverage: 0.0,
        contrast: 0.0,
    };

    let first = RayScan {
        rays: 48,
        low: 0.8,
        high: 1.26,
        reach: 0.07,
    }
    .measure(raster, &start)?;

    let second = RayScan {
        rays: 48,
        low: 0.88,
        high: 1.14,
        reach: 0.05,
    }
    .measure(raster, &first)?;

    Some(scale_up(second, factor))
}

/// Measures exactly, at a larger size of the picture.
pub(super) fn fine(pyramid: &Pyramid, circle: &Circle) -> Option<Circle> {
    let (raster, factor) = pyramid.level_for(circle.r, 40.0);
    let mut now = Circle {
        x: shrink(circle.x, factor),
        y: shrink(circle.y, factor),
        r: circle.r / factor,
        ..*circle
    };

    // Each pass starts closer to the edge, so it can ignore more of its surroundings.
    for reach in [0.045, 0.035, 0.025] {
        now = RayScan {
            rays: 96,
            low: 0.9,
            high: 1.12,
            reach,
        }
        .measure(raster, &now)?;
    }

    Some(scale_up(now, factor))
}

fn scale_up(circle: Circle, factor: f32) -> Circle {
    Circle {
        x: grow(circle.x, factor),
        y: grow(circle.y, factor),
        r: circle.r * factor,
        ..circle
    }
}

/// A scan: the number of rays, the range of radii relative to the current one, and how far an edge
/// may be from the common radius.
struct RayScan {
    rays: usize,
    low: f32,
    high: f32,
    reach: f32,
}

impl RayScan {
    fn measure(&self, raster: &Raster, circle: &Circle) -> Option<Circle> {
        let steps = ((self.high - self.low) / STEP) as usize;
        let changes = self.changes(raster, circle, steps);
        let radius = common_radius(&changes, steps)?;
        let reach = (self.reach / STEP).ceil() as usize;
        let mut points = Vec::with_capacity(self.rays);
        let mut covered = 0.0;
        let mut strength = 0.0;
        let mut visible = 0.0;

        for (ray, change) in changes.chunks_exact(steps).enumerate() {
            let (from, to) = (
                radius.saturating_sub(reach),
                (radius + reach + 1).min(steps),
            );
            // Edges close to the common radius are preferred: letters and shadows lie off it.
            let near = |k: usize| {
                let off = (k as f32 - radius as f32) / (reach as f32 + 1.0);
                change[k] * (1.0 - 0.5 * off * off)
            };
            let Some(best) = (from..to).max_by(|&a, &b| near(a).total_cmp(&near(b))) else {
                continue;
            };

            if !self.is_visible(raster, circle, ray) {
                continue;
            }

            let size = change[best];
            strength += size;
            visible += 1.0;

            if size > EDGE {
                covered += 1.0;
                let at = self.low + STEP * (best as f32 + peak_offset(change, best) + 0.5);
                let (sin, cos) = angle(ray, self.rays).sin_cos();
                points.push((cos * at, sin * at, size));
            }
        }

        let (x, y, r) = circle_through(points)?;
        let moved = x.hypot(y);
        // The fit left the circle it started from.
        if !(0.6..1.6).contains(&r) || moved > 0.5 {
            return None;
        }

        Some(Circle {
            x: circle.x + x * circle.r,
            y: circle.y + y * circle.r,
            r: circle.r * r,
            coverage: covered / visible,
            contrast: strength / visible,
        })
    }

    /// Returns whether a ray meets the circle inside the picture; parts outside do not count as
    /// gaps.
    fn is_visible(&self, raster: &Raster, circle: &Circle, ray: usize) -> bool {
        let (sin, cos) = angle(ray, self.rays).sin_cos();
        let (x, y) = (circle.x + cos * circle.r, circle.y + sin * circle.r);
        x >= 0.0 && y >= 0.0 && x < raster.width() as f32 && y < raster.height() as f32
    }

    /// Returns the change of colour at each step of each ray, 0 to 1.
    fn changes(&self, raster: &Raster, circle: &Circle, steps: usize) -> Vec<f32> {
        let mut changes = Vec::with_capacity(self.rays * steps);
        let mut line = vec![[0.0_f32; 3]; steps + 3];
        for ray in 0..self.rays {
            let (sin, cos) = angle(ray, self.rays).sin_cos();
            for (k, sample) in line.iter_mut().enumerate() {
                let at = circle.r * (self.low + STEP * (k as f32 - 1.0));
                *sample = raster.interpolate(circle.x + cos * at, circle.y + sin * at);
            }

            for k in 0..steps {
                // Over three steps: one step is less than a pixel of a small coin.
                let change = (0..3)
                    .map(|c| (line[k + 3][c] - line[k][c] + line[k + 2][c] - line[k + 1][c]).abs())
                    .fold(0.0, f32::max);
                changes.push(change / (change + HALF_CHANGE));
            }
        }

        changes
    }
}

fn angle(ray: usize, rays: usize) -> f32 {
    ray as f32 * std::f32::consts::TAU / rays as f32
}

/// Returns the step with the most change over all rays. Coins have a second edge inside the rim, so
/// the outermost of several similar ones is chosen.
fn common_radius(changes: &[f32], steps: usize) -> Option<usize> {
    let mut profile = vec![0.0_f32; steps];
    for ray in changes.chunks_exact(steps) {
        for (sum, change) in profile.iter_mut().zip(ray) {
            *sum += change;
        }
    }

    let smooth: Vec<f32> = (0..steps)
        .map(|k| profile[k.saturating_sub(1)] + 2.0 * profile[k] + profile[(k + 1).min(steps - 1)])
        .collect();
    let best = smooth.iter().copied().fold(0.0, f32::max);

    (0..steps).rev().find(|&k| {
        let before = smooth[k.saturating_sub(1)];
        let after = smooth[(k + 1).min(steps - 1)];
        smooth[k] >= OUTERMOST * best && smooth[k] >= before && smooth[k] >= after
    })
}

/// Returns the offset of the peak of a parabola through three values.
fn peak_offset(values: &[f32], k: usize) -> f32 {
    if k == 0 || k + 1 >= values.len() {
        return 0.0;
    }
    let bend = values[k - 1] + values[k + 1] - 2.0 * values[k];
    if bend > -1e-4 {
        return 0.0;
    }
    (0.5 * (values[k - 1] - values[k + 1]) / bend).clamp(-0.5, 0.5)
}

/// Fits a circle to weighted points by least squares; a second pass drops outliers of the first.
fn circle_through(mut points: Vec<(f32, f32, f32)>) -> Option<(f32, f32, f32)> {
    let (x, y, r) = least_squares(&points)?;
    let mut off: Vec<f32> = points
        .iter()
        .map(|p| ((p.0 - x).hypot(p.1 - y) - r).abs())
        .collect();
    off.sort_by(f32::total_cmp);
    // 2.5 medians of the residuals, but at least 0.8 % of the radius.
    let limit = (2.5 * off[off.len() / 2]).max(0.008);
    points.retain(|p| ((p.0 - x).hypot(p.1 - y) - r).abs() <= limit);
    least_squares(&points)
}

/// Solves x² + y² = 2ax + 2by + c (the Kåsa fit), which is linear in a, b, c.
fn least_squares(points: &[(f32, f32, f32)]) -> Option<(f32, f32, f32)> {
    if points.len() < 8 {
        return None;
    }

    let mut m = [[0.0_f64; 4]; 3];
    for &(x, y, weight) in points {
        let (x, y, weight) = (f64::from(x), f64::from(y), f64::from(weight));
        let row = [2.0 * x, 2.0 * y, 1.0, x * x + y * y];
        for i in 0..3 {
            for j in 0..4 {
                m[i][j] += weight * row[i] * row[j];
            }
        }
    }

    let [a, b, c] = crate::fit::solve3(m)?;
    let square = c + a * a + b * b;
    (square > 0.0).then(|| (a as f32, b as f32, square.sqrt() as f32))
}

const STEP: f32 = 0.01;
const EDGE: f32 = 0.25;
const HALF_CHANGE: f32 = 24.0;
const OUTERMOST: f32 = 0.82;
