//! Formatting of errors.

/// Formats an error and its causes on one line, separated by colons.
pub fn format_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Many errors repeat their cause in their own message.
        if !line.contains(&message) {
            line = format!("{line}: {message}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn formats_every_source() {
        let error = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(format_chain(&error), "outer: invalid digit found in string");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Repeating(#[source] std::num::ParseIntError);

    #[test]
    fn formats_a_repeated_cause_once() {
        let error = Repeating("x".parse::<u8>().unwrap_err());
        assert_eq!(format_chain(&error), "outer: invalid digit found in string");
    }
}
