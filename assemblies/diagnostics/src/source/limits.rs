//! Limits of the parser. A text beyond a limit is rejected with a finding that names the limit. Valid documents stay
//! below them (CloudFormation accepts 1 MB), and hostile ones cannot exhaust memory or time.

/// The maximum length of a text in bytes.
pub const BYTES: u64 = 1024 * 1024;
/// The maximum nesting depth of lists and maps.
pub const DEPTH: usize = 64;
/// The maximum number of values, including those that aliases repeat.
pub const VALUES: usize = 100_000;
/// The maximum number of bytes that anchors and aliases repeat.
pub const REPEATED: usize = 4 * 1024 * 1024;
/// The maximum length of a key in bytes.
pub const KEY: usize = 1024;

/// Returns the message for a text that is too long.
pub fn too_long_message(bytes: u64) -> String {
    format!(
        "the file has {} bytes; the limit is {}",
        group_digits(bytes),
        group_digits(BYTES)
    )
}

/// Formats a number with separators: `104,857,600`.
pub(super) fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::too_long_message;

    #[test]
    fn the_message_names_the_length_and_the_limit() {
        let message = too_long_message(104_857_600);
        assert_eq!(
            message,
            "the file has 104,857,600 bytes; the limit is 1,048,576"
        );
    }
}
