//! Durations, sizes and command lines as Compose and Copilot write them.

/// Parses a duration such as `1m30s` or `500ms` into seconds, rounded up.
///
/// Source: Compose specification, "Specifying durations"; Go's `time.ParseDuration`.
pub(in crate::inputs) fn seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }

    while !rest.is_empty() {
        let is_digit = |letter: char| letter.is_ascii_digit() || letter == '.';
        let number_end = rest.find(|letter| !is_digit(letter))?;
        let number: f64 = rest[..number_end].parse().ok()?;
        let after = &rest[number_end..];
        let unit_end = after.find(is_digit).unwrap_or(after.len());
        total += number * unit_seconds(&after[..unit_end])?;
        rest = &after[unit_end..];
    }
    (total <= f64::from(u32::MAX)).then_some(total.ceil() as u64)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    })
}

/// Parses a size such as `512m`, `1.5gb` or a number of bytes into MiB, rounded up.
///
/// Source: Compose specification, "Specifying byte values".
pub(in crate::inputs) fn mebibytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let bytes = match text[end..].trim() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let total = number * bytes / (1024.0 * 1024.0);
    (total <= f64::from(u32::MAX)).then_some(total.ceil() as u64)
}

/// Parses a number of CPUs such as `0.5` into CPU units, of which one CPU has 1024.
pub(in crate::inputs) fn cpu_units(text: &str) -> Option<u64> {
    let cpus: f64 = text.trim().parse().ok()?;
    (0.0..=4096.0)
        .contains(&cpus)
        .then_some((cpus * 1024.0).round() as u64)
}

/// Splits a command line into words, as a POSIX shell splits it without expansions.
pub(in crate::inputs) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::{cpu_units, mebibytes, seconds, words};

    #[test]
    fn durations_are_rounded_up() {
        for (text, expected) in [
            ("10s", 10),
            ("1m30s", 90),
            ("1h5m", 3900),
            ("500ms", 1),
            ("1.5s", 2),
            ("0", 0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for wrong in ["", "10", "s", "10x", "-5s", "1m30"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("512m", 512),
            ("1gb", 1024),
            ("1.5g", 1536),
            ("1048576", 1),
            ("100k", 1),
            ("64MiB", 64),
        ] {
            assert_eq!(mebibytes(text), Some(expected), "{text}");
        }
        assert_eq!(mebibytes("many"), None);
        assert_eq!(cpu_units("0.25"), Some(256));
        assert_eq!(cpu_units("-1"), None);
    }

    #[test]
    fn quotes_and_escapes_group_words() {
        assert_eq!(
            words(r#"sh -c "echo 'a b' \"c\"" d\ e '' "#),
            ["sh", "-c", "echo 'a b' \"c\"", "d e", ""]
        );
        assert!(words("  ").is_empty());
    }
}
