//! Sizes as text.

/// Formats a number of bytes with decimal prefixes, as registries show them: `512 B`, `12.3 kB`, `1.20 MB`.
pub fn format_bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::format_bytes;

    #[test]
    fn chooses_the_prefix() {
        for (bytes, expected) in [
            (9_999, "9999 B"),
            (12_340, "12.3 kB"),
            (4_600_000, "4.60 MB"),
            (1_500_000_000, "1.50 GB"),
        ] {
            assert_eq!(format_bytes(bytes), expected);
        }
    }
}
