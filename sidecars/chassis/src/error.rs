//! Formatting of errors.

/// Formats an error and its sources on one line.
pub(crate) fn format_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
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
}
