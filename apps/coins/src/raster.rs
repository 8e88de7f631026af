//! Pictures in memory: upright 8-bit RGB, and a pyramid of halved sizes.

/// An RGB picture, row by row, three bytes per pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Raster {
    /// Creates a picture of one colour.
    pub fn new(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let pixels = colour.repeat(width * height);
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Creates a picture from rows of RGB bytes; missing bytes are black, surplus ones are dropped.
    pub fn from_pixels(width: usize, height: usize, mut pixels: Vec<u8>) -> Self {
        pixels.resize(width * height * 3, 0);
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Returns the width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the bytes, three per pixel, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns the colour of a pixel, or of the nearest edge outside of the picture.
    pub fn at(&self, x: isize, y: isize) -> [u8; 3] {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        let i = (y * self.width + x) * 3;
        [self.pixels[i], self.pixels[i + 1], self.pixels[i + 2]]
    }

    /// Sets a pixel; does nothing outside of the picture.
    pub fn set(&mut self, x: isize, y: isize, colour: [u8; 3]) {
        if x < 0 || y < 0 || x >= self.width as isize || y >= self.height as isize {
            return;
        }
        let i = (y as usize * self.width + x as usize) * 3;
        self.pixels[i..i + 3].copy_from_slice(&colour);
    }

    /// Returns the bilinearly interpolated colour; pixel centres are at whole numbers.
    pub fn interpolate(&self, x: f32, y: f32) -> [f32; 3] {
        let x = x.clamp(0.0, (self.width - 1) as f32);
        let y = y.clamp(0.0, (self.height - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        // At the last column and row the neighbour is the pixel itself.
        let right = usize::from(x0 + 1 < self.width) * 3;
        let below = usize::from(y0 + 1 < self.height) * self.width * 3;
        let i = (y0 * self.width + x0) * 3;
        let mut out = [0.0; 3];

        for (c, value) in out.iter_mut().enumerate() {
            let a = self.pixels[i + c] as f32;
            let b = self.pixels[i + right + c] as f32;
            let d = self.pixels[i + below + c] as f32;
            let e = self.pixels[i + below + right + c] as f32;
            let top = a + (b - a) * fx;
            *value = top + (d + (e - d) * fx - top) * fy;
        }

        out
    }

    /// Shrinks the picture so that its long side is at most `side`; each pixel is the mean of the
    /// area it covers.
    pub fn fit_within(&self, side: usize) -> Self {
        let long = self.width.max(self.height);
        if long <= side {
            return self.clone();
        }
        let width = (self.width * side).div_ceil(long).max(1);
        let height = (self.height * side).div_ceil(long).max(1);
        self.resample(width, height)
    }

    /// Shrinks the picture to half its size.
    pub fn halve(&self) -> Self {
        self.resample((self.width / 2).max(1), (self.height / 2).max(1))
    }

    fn resample(&self, width: usize, height: usize) -> Self {
        let columns = spans(self.width, width);
        let rows = spans(self.height, height);
        let mut pixels = Vec::with_capacity(width * height * 3);
        // One output row at a time, so that the input is read once, in order.
        let mut sums = vec![0.0_f32; width * 3];

        for row in &rows {
            sums.fill(0.0);
            for &(y, weight) in row {
                let line = &self.pixels[y * self.width * 3..][..self.width * 3];
                for (sum, column) in sums.chunks_exact_mut(3).zip(&columns) {
                    for &(x, share) in column {
                        let share = share * weight;
                        sum[0] += line[x * 3] as f32 * share;
                        sum[1] += line[x * 3 + 1] as f32 * share;
                        sum[2] += line[x * 3 + 2] as f32 * share;
                    }
                }
            }
            pixels.extend(sums.iter().map(|sum| sum.round() as u8));
        }

        Self {
            width,
            height,
            pixels,
        }
    }
}

/// Returns for each of `to` cells which of the `from` cells it covers, and their shares.
fn spans(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f32 / to as f32;
    let cover = |cell: usize| {
        let (start, end) = (cell as f32 * ratio, (cell + 1) as f32 * ratio);
        (start as usize..from.min(end.ceil() as usize))
            .map(|i| (i, ((i + 1) as f32).min(end) - (i as f32).max(start)))
            .map(|(i, length)| (i, length / ratio))
            .collect()
    };
    (0..to).map(cover).collect()
}

/// The picture at its working size and at halved sizes.
#[derive(Debug)]
pub struct Pyramid {
    levels: Vec<Raster>,
}

impl Pyramid {
    /// Halves the picture until its long side is under 64 pixels, for at most five levels.
    pub fn new(raster: Raster) -> Self {
        let mut levels = vec![raster];
        while let Some(last) = levels.last()
            && levels.len() < MAX_LEVELS
            && last.width.max(last.height) >= 64
        {
            let next = last.halve();
            levels.push(next);
        }
        Self { levels }
    }

    /// Returns all levels, the largest first.
    pub fn levels(&self) -> &[Raster] {
        &self.levels
    }

    /// Returns the picture at working size.
    pub fn full(&self) -> &Raster {
        &self.levels[0]
    }

    /// Returns only the picture at working size.
    pub fn into_full(mut self) -> Raster {
        self.levels.swap_remove(0)
    }

    /// Returns the smallest level in which a circle of this radius still has a radius of `least`
    /// pixels, and its reduction factor.
    pub fn level_for(&self, radius: f32, least: f32) -> (&Raster, f32) {
        let mut level = 0;
        let mut factor = 1.0;
        while level + 1 < self.levels.len() && radius / (factor * 2.0) >= least {
            level += 1;
            factor *= 2.0;
        }
        (&self.levels[level], factor)
    }
}

/// Converts a coordinate of the full picture to a picture `factor` times smaller.
pub fn shrink(value: f32, factor: f32) -> f32 {
    // Pixel centres are whole numbers, so the picture's edge is at -0.5 in every size.
    (value + 0.5) / factor - 0.5
}

/// Converts a coordinate of a picture `factor` times smaller to the full picture.
pub fn grow(value: f32, factor: f32) -> f32 {
    (value + 0.5) * factor - 0.5
}

const MAX_LEVELS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_keeps_mean_and_shape() {
        let mut raster = Raster::new(31, 20, [10, 20, 30]);
        // One light pixel, which must not vanish.
        raster.set(3, 3, [250, 250, 250]);
        let small = raster.fit_within(10);
        assert_eq!((small.width(), small.height()), (10, 7));
        assert_eq!(small.at(9, 6), [10, 20, 30]);
        assert!(small.at(1, 1)[0] > 10);
    }

    #[test]
    fn interpolates_between_pixels() {
        let raster = Raster::from_pixels(2, 1, vec![0, 0, 0, 100, 200, 40]);
        let whole = |x, y| raster.interpolate(x, y).map(|value| value.round() as u8);
        assert_eq!(whole(0.5, 0.0), [50, 100, 20]);
        assert_eq!(whole(-3.0, 5.0), [0, 0, 0]);
    }
}
