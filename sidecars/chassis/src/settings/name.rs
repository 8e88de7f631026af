//! Names of settings as environment variables.

/// Returns the prefix of a component's variables: `TLS_PROXY_`.
pub(crate) fn prefix(component: &str) -> String {
    format!("{}_", component.to_uppercase().replace('-', "_"))
}

/// Returns the variable of a setting: `limits.idle_timeout` of `tls-proxy` is
/// `TLS_PROXY_LIMITS__IDLE_TIMEOUT`.
pub(crate) fn variable(component: &str, setting: &str) -> String {
    let prefix = prefix(component);
    if setting.starts_with(&prefix) {
        // An unknown variable is reported by its name.
        return setting.to_owned();
    }
    let name = setting.to_uppercase().replace('-', "_").replace('.', "__");
    format!("{prefix}{name}")
}

/// Returns the known name that is most similar to `wrong`, if one is similar enough for a hint.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Two exchanged letters, the commonest typo, have a Levenshtein distance of two.
    let bound = (wrong.len() / 2).clamp(1, 2);
    known
        .into_iter()
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// Returns the Levenshtein distance of two names.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // One row of the dynamic programming table, from the distances to the empty prefix on.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }

    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_the_variable_of_a_nested_setting() {
        assert_eq!(
            variable("tls-proxy", "limits.first-byte"),
            "TLS_PROXY_LIMITS__FIRST_BYTE"
        );
    }

    #[test]
    fn suggests_a_similar_name() {
        let known = ["listen", "upstream", "limits.idle_timeout"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("upstraem", known), Some("upstream"));
        // Too different from every name for a hint.
        assert_eq!(nearest("colour", known), None);
    }
}
