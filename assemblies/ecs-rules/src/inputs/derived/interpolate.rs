//! Variables in texts: `${NAME}`, and Compose's `$NAME`, `${NAME:-default}`, `${NAME:?message}` and `$$`.
//!
//! <https://docs.docker.com/reference/compose-file/interpolation/>

use super::super::evaluate::Piece;

/// Which forms of variables a format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inputs) enum Syntax {
    /// Compose: with and without braces, defaults, and `$$` for a dollar sign.
    Compose,
    /// Copilot and this crate: `${NAME}` only.
    Braces,
}

/// Returns the parts of a text. A variable with a default has the default as its value.
pub(in crate::inputs) fn interpolate(text: &str, syntax: Syntax) -> Vec<Piece> {
    let mut pieces = Vec::new();
    add_pieces(text, syntax, 0, &mut pieces);
    pieces
}

/// Returns the text, if all its parts are known.
pub(in crate::inputs) fn join(pieces: &[Piece]) -> Option<String> {
    let parts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Unknown(_) => None,
    });
    parts.collect()
}

/// Returns the value of a text, if it has no variable without a default.
pub(in crate::inputs) fn resolve(text: &str, syntax: Syntax) -> Option<String> {
    join(&interpolate(text, syntax))
}

fn add_pieces(text: &str, syntax: Syntax, depth: usize, pieces: &mut Vec<Piece>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        push_text(before, pieces);
        let after = &from[1..];

        rest = if syntax == Syntax::Compose && after.starts_with('$') {
            push_text("$", pieces);
            &after[1..]
        } else if let Some((expression, tail)) = split_braces(after) {
            add_variable(expression, syntax, depth, pieces);
            tail
        } else if syntax == Syntax::Compose && name_length(after) > 0 {
            let (name, tail) = after.split_at(name_length(after));
            pieces.push(Piece::Unknown(name.to_owned()));
            tail
        } else {
            push_text("$", pieces);
            after
        };
    }
    push_text(rest, pieces);
}

fn add_variable(expression: &str, syntax: Syntax, depth: usize, pieces: &mut Vec<Piece>) {
    let (name, rest) = match syntax {
        Syntax::Compose => expression.split_at(name_length(expression)),
        Syntax::Braces => (expression, ""),
    };
    let default = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'));
    match default {
        // Each level of nesting removes at least three bytes; the limit bounds the recursion.
        Some(default) if depth < MAX_DEPTH => add_pieces(default, syntax, depth + 1, pieces),
        _ if name.is_empty() => push_text(&format!("${{{expression}}}"), pieces),
        _ => pieces.push(Piece::Unknown(name.to_owned())),
    }
}

fn push_text(text: &str, pieces: &mut Vec<Piece>) {
    let is_first = pieces.is_empty();
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ if text.is_empty() && !is_first => {}
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// Splits `{expression}rest`, with nested braces in the expression.
fn split_braces(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{')?;
    let mut depth = 0_usize;
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some((&inner[..at], &inner[at + 1..])),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_length(text: &str) -> usize {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return 0;
    }
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}

/// More levels of defaults in defaults than anyone writes.
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Syntax, resolve};

    #[test]
    fn defaults_are_values_and_other_variables_are_unknown() {
        let compose = |text: &str| resolve(text, Syntax::Compose);
        assert_eq!(compose("${A:-x}").as_deref(), Some("x"));
        assert_eq!(compose("a-${A-x}-b").as_deref(), Some("a-x-b"));
        assert_eq!(compose("${A:-${B:-${C:-y}}}z").as_deref(), Some("yz"));
        assert_eq!(compose("${A:-}").as_deref(), Some(""));
        assert_eq!(compose("$$A costs 5$").as_deref(), Some("$A costs 5$"));
        for unknown in [
            "$A",
            "${A}",
            "x${A:?needed}",
            "${A?needed}",
            "${A:+x}",
            "${A:-$B}",
        ] {
            assert_eq!(compose(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn malformed_and_foreign_forms_stay_text() {
        assert_eq!(resolve("${A", Syntax::Compose).as_deref(), Some("${A"));
        assert_eq!(resolve("${!A}", Syntax::Compose).as_deref(), Some("${!A}"));
        assert_eq!(resolve("$A $$", Syntax::Braces).as_deref(), Some("$A $$"));
        assert_eq!(resolve("${A:-x}", Syntax::Braces), None);
    }

    #[test]
    fn deep_nesting_ends() {
        let text = "${A:-".repeat(20_000) + &"}".repeat(20_000);
        assert_eq!(resolve(&text, Syntax::Compose), None);
    }
}
