//! The causes of an error, as text.

use std::error::Error as StdError;

/// Returns an error and its causes, the outermost first.
pub(crate) fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

/// Returns the message of the innermost cause.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Formats the causes of an error; the outermost message alone is not specific. Long messages, such as the output
/// of a `credential_process`, are cut.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    // Bounded: an error could refer to itself.
    for cause in chain(error).take(MAX_CAUSES) {
        let text = cause.to_string();
        // Some errors repeat the message of their cause.
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    // Prefixes of the SDK that say nothing, if something follows.
    let last = texts.pop();
    texts.retain(|text| !EMPTY_TEXTS.iter().any(|empty| text.starts_with(empty)));
    texts.extend(last);

    let text = texts.join(": ");
    match text.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

const EMPTY_TEXTS: [&str; 3] = [
    "an error occurred while loading",
    "the credentials provider was not properly configured",
    "unexpected credentials error",
];
const MAX_CAUSES: usize = 12;
const MAX_DETAIL: usize = 600;
