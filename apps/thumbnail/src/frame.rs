//! The picture as plain pixels: how big it becomes, and which way is up.

/// RGB pixels, row by row, three bytes each.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgb: Vec<u8>,
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pixels({}x{})", self.width, self.height)
    }
}

/// The box a picture must fit in. Zero means that a side is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The widest the picture may be, in pixels; 0 for any.
    pub width: u32,
    /// The highest the picture may be, in pixels; 0 for any.
    pub height: u32,
}

/// How stored pixels are turned into an upright picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    swap: bool,
    flip_x: bool,
    flip_y: bool,
}

impl Fit {
    /// The size in which a stored picture is shown: square pixels, inside the box, never
    /// enlarged, never empty. The size is that of the stored orientation.
    pub(crate) fn size(
        self,
        stored: (u32, u32),
        pixel_aspect: Option<(u32, u32)>,
        orientation: Orientation,
    ) -> (u32, u32) {
        let (num, den) = pixel_aspect.unwrap_or((1, 1));
        let (mut width, mut height) = (f64::from(stored.0), f64::from(stored.1));

        // Pixels become square by shrinking the longer way: nothing is made up.
        if num > den {
            height = height * f64::from(den) / f64::from(num);
        } else {
            width = width * f64::from(num) / f64::from(den);
        }

        let (limit_x, limit_y) = if orientation.swap {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };

        let ratio = shrink(width, limit_x).min(shrink(height, limit_y));
        (whole(width * ratio), whole(height * ratio))
    }
}

fn shrink(side: f64, limit: u32) -> f64 {
    if limit == 0 {
        1.0
    } else {
        (f64::from(limit) / side).min(1.0)
    }
}

fn whole(side: f64) -> u32 {
    (side.round() as u32).max(1)
}

impl Orientation {
    /// Reads a display matrix: where do the axes of the stored picture point?
    pub(crate) fn from_matrix(matrix: &[i32; 9]) -> Self {
        let [a, b, _, c, d, ..] = *matrix;
        let swap = b.unsigned_abs() > a.unsigned_abs();
        let (x, y) = if swap { (c, b) } else { (a, d) };
        Self {
            swap,
            flip_x: x < 0,
            flip_y: y < 0,
        }
    }

    /// Turns a picture upright.
    pub(crate) fn apply(self, picture: Pixels) -> Pixels {
        if self == Self::default() {
            return picture;
        }

        let (stored_width, stored_height) = (picture.width as usize, picture.height as usize);
        let (width, height) = if self.swap {
            (stored_height, stored_width)
        } else {
            (stored_width, stored_height)
        };

        let mut rgb = Vec::with_capacity(picture.rgb.len());
        for y in 0..height {
            let across = if self.flip_y { height - 1 - y } else { y };
            for x in 0..width {
                let along = if self.flip_x { width - 1 - x } else { x };
                let (column, row) = if self.swap {
                    (across, along)
                } else {
                    (along, across)
                };

                let at = (row * stored_width + column) * 3;
                rgb.extend_from_slice(&picture.rgb[at..at + 3]);
            }
        }

        Pixels {
            width: width as u32,
            height: height as u32,
            rgb,
        }
    }

    /// How far the picture was turned, clockwise, in degrees; mirrored ones count as their turn.
    pub(crate) fn degrees(self) -> u32 {
        match (self.swap, self.flip_x, self.flip_y) {
            (false, false, _) => 0,
            (false, true, _) => 180,
            (true, true, _) => 90,
            (true, false, _) => 270,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    /// Two wide, three high: the letters are the red parts.
    fn picture(rows: [[u8; 2]; 3]) -> Pixels {
        let rgb = rows.iter().flatten().flat_map(|red| [*red, 0, 0]).collect();
        Pixels {
            width: 2,
            height: 3,
            rgb,
        }
    }

    fn reds(picture: &Pixels) -> Vec<u8> {
        picture.rgb.iter().step_by(3).copied().collect()
    }

    fn turn(a: i32, b: i32, c: i32, d: i32) -> Orientation {
        Orientation::from_matrix(&[a, b, 0, c, d, 0, 0, 0, 1 << 30])
    }

    #[test]
    fn a_quarter_turn_clockwise_moves_the_left_edge_to_the_top() {
        let turned = turn(0, ONE, -ONE, 0).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!((turned.width, turned.height), (3, 2));
        assert_eq!(reds(&turned), b"ecafdb");
        assert_eq!(turn(0, ONE, -ONE, 0).degrees(), 90);
    }

    #[test]
    fn a_quarter_turn_back_is_the_opposite() {
        let turned = turn(0, -ONE, ONE, 0).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!(reds(&turned), b"bdface");
        assert_eq!(turn(0, -ONE, ONE, 0).degrees(), 270);
    }

    #[test]
    fn a_half_turn_reverses_everything() {
        let turned = turn(-ONE, 0, 0, -ONE).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!(reds(&turned), b"fedcba");
    }

    #[test]
    fn a_mirror_keeps_the_rows() {
        let turned = turn(-ONE, 0, 0, ONE).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!(reds(&turned), b"badcfe");
    }

    #[test]
    fn a_picture_fits_its_box_and_is_never_enlarged() {
        let fit = Fit {
            width: 640,
            height: 0,
        };
        let upright = Orientation::default();

        assert_eq!(fit.size((1920, 1080), None, upright), (640, 360));
        assert_eq!(fit.size((320, 180), None, upright), (320, 180));
        assert_eq!(
            Fit {
                width: 640,
                height: 100
            }
            .size((1920, 1080), None, upright),
            (178, 100)
        );

        assert_eq!(
            Fit {
                width: 0,
                height: 0
            }
            .size((1919, 1079), None, upright),
            (1919, 1079)
        );

        assert_eq!(
            Fit {
                width: 10,
                height: 0
            }
            .size((8000, 2), None, upright),
            (10, 1)
        );
    }

    #[test]
    fn the_box_is_that_of_the_upright_picture() {
        let fit = Fit {
            width: 360,
            height: 0,
        };
        assert_eq!(
            fit.size((1920, 1080), None, turn(0, ONE, -ONE, 0)),
            (640, 360)
        );
    }

    #[test]
    fn pixels_become_square() {
        let fit = Fit {
            width: 0,
            height: 0,
        };

        assert_eq!(
            fit.size((720, 576), Some((64, 45)), Orientation::default()),
            (720, 405)
        );

        assert_eq!(
            fit.size((720, 480), Some((8, 9)), Orientation::default()),
            (640, 480)
        );
    }
}
