//! Text widths, measured in DejaVu Sans, the widest of the usual fallback fonts.

/// A font: its size in pixels, and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Font {
    pub(super) size: i32,
    pub(super) weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Returns the width of a text in pixels, rounded up.
pub(super) fn width(text: &str, font: Font) -> i32 {
    let thousandths: i32 = text.chars().map(|c| advance(c, font.weight)).sum();
    (thousandths * font.size + 999) / 1000
}

/// Returns the text, cut to a width with `…` if necessary.
pub(super) fn fit(text: &str, font: Font, room: i32) -> String {
    if width(text, font) <= room {
        return text.to_owned();
    }

    // Linear, but names are short, and widths are not additive once spaces are trimmed.
    let mut short: String = text.to_owned();
    while short.pop().is_some() {
        let cut = format!("{}…", short.trim_end());
        if width(&cut, font) <= room {
            return cut;
        }
    }

    String::new()
}

/// Returns the advance width of a character in thousandths of the font size.
fn advance(c: char, weight: Weight) -> i32 {
    let (table, dot) = match weight {
        Weight::Regular => (&REGULAR, 318),
        Weight::Bold => (&BOLD, 380),
    };
    match c {
        ' '..='~' => table[c as usize - 32],
        '·' => dot,
        // Not in the table: as wide as high, which holds for CJK and is too wide for most others.
        _ => 1000,
    }
}

/// The advance widths of printable ASCII in DejaVu Sans.
#[rustfmt::skip]
const REGULAR: [i32; 95] = [318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361, 318, 337, 637, 637, 637, 637, 637, 637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 531, 1000, 685, 687, 699, 771, 632, 576, 775, 752, 295, 295, 656, 558, 863, 749, 788, 604, 788, 695, 635, 611, 732, 685, 989, 686, 611, 686, 391, 337, 391, 838, 500, 500, 613, 635, 550, 635, 616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612, 635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637, 337, 637, 838];

/// The advance widths in DejaVu Sans Bold.
#[rustfmt::skip]
const BOLD: [i32; 95] = [349, 457, 521, 838, 696, 1002, 873, 307, 458, 458, 523, 838, 380, 416, 380, 366, 696, 696, 696, 696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 581, 1000, 774, 763, 734, 831, 684, 684, 821, 837, 373, 373, 775, 638, 996, 837, 851, 733, 851, 771, 721, 683, 813, 774, 1104, 771, 725, 726, 458, 366, 458, 838, 500, 500, 675, 716, 593, 716, 679, 436, 716, 712, 343, 343, 666, 343, 1042, 712, 688, 716, 716, 494, 596, 479, 712, 652, 924, 646, 652, 583, 712, 366, 712, 838];

#[cfg(test)]
mod tests {
    use super::*;

    const FONT: Font = Font {
        size: 10,
        weight: Weight::Regular,
    };

    #[test]
    fn cuts_only_texts_that_are_too_wide() {
        assert_eq!(fit("short", FONT, 100), "short");
        let cut = fit("a name that is far too long", FONT, 60);
        assert!(cut.ends_with('…') && width(&cut, FONT) <= 60, "{cut}");
        // Not even `…` fits into one pixel.
        assert_eq!(fit("any", FONT, 1), "");
    }
}
