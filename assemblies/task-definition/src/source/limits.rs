//! How much of a text is read. A text beyond is refused with the limit named: nobody's definition comes
//! near (ECS takes 64 KiB, CloudFormation 1 MB), and a hostile one would cost memory and time.

/// Bytes of a text.
pub const BYTES: u64 = 1024 * 1024;
/// Lists and maps inside of each other.
pub const DEPTH: usize = 64;
/// Values in all, those that aliases repeat included.
pub const VALUES: usize = 100_000;
/// Bytes that anchors and aliases repeat.
pub const REPEATED: usize = 4 * 1024 * 1024;
/// Bytes of one key.
pub const KEY: usize = 1024;

/// What is said of a text that is too long: how long it is, and what would be taken.
pub fn too_long_message(bytes: u64) -> String {
    format!(
        "the file has {} bytes; the limit is {}",
        group_digits(bytes),
        group_digits(BYTES)
    )
}

/// `104,857,600`
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
    fn says_how_long_it_is_and_what_is_allowed() {
        let said = too_long_message(104_857_600);
        assert_eq!(
            said,
            "the file has 104,857,600 bytes; the limit is 1,048,576"
        );
    }
}
