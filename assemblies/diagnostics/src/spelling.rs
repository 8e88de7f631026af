//! Suggestions for misspelt words.

use strsim::osa_distance;

/// Returns the known word nearest to a misspelt one, or `None` if none is near.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = written.to_lowercase();
    // A third of the letters may differ: short words need a close match, long ones may hold two slips.
    known
        .into_iter()
        .map(|word| (osa_distance(&lower, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len().max(written.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_nearest_known_word() {
        let known = ["memory", "memoryReservation", "cpu", "essential"];
        assert_eq!(nearest("memry", known), Some("memory"));
        assert_eq!(nearest("Memory", known), Some("memory"));
        assert_eq!(nearest("esential", known), Some("essential"));
        assert_eq!(nearest("cup", known), Some("cpu"));
        assert_eq!(nearest("hostname", known), None);
    }
}
