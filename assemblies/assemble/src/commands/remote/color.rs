//! Colours of differences and checks.

use diagnostics::Color;

/// Returns the text in a style, if colours are wanted.
pub(crate) fn paint(text: &str, style: &str, color: Color) -> String {
    match color {
        Color::Yes => format!("\x1b[{style}m{text}\x1b[0m"),
        Color::No => text.to_owned(),
    }
}

pub(crate) const BOLD: &str = "1";
pub(crate) const RED: &str = "31";
pub(crate) const GREEN: &str = "32";
pub(crate) const YELLOW: &str = "33";
