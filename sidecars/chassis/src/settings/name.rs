//! What a setting is called in the environment.

/// The prefix of a component's variables: `TLS_PROXY_`.
pub(crate) fn prefix(component: &str) -> String {
    format!("{}_", component.to_uppercase().replace('-', "_"))
}

/// The variable of a setting: `limits.idle_timeout` of `tls-proxy` is `TLS_PROXY_LIMITS__IDLE_TIMEOUT`.
pub(crate) fn variable(component: &str, setting: &str) -> String {
    let prefix = prefix(component);
    if setting.starts_with(&prefix) {
        // An unknown variable is reported under its own name.
        return setting.to_owned();
    }
    let word = setting.to_uppercase().replace('-', "_").replace('.', "__");
    format!("{prefix}{word}")
}

/// The known name that `wrong` was probably meant to be.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Two letters exchanged are two changes, and that is the commonest slip.
    let bound = (wrong.len() / 2).clamp(1, 2);
    known
        .into_iter()
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed to make one name of the other.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
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
    fn names_the_variable_of_a_nested_setting() {
        assert_eq!(
            variable("tls-proxy", "limits.first-byte"),
            "TLS_PROXY_LIMITS__FIRST_BYTE"
        );
    }

    #[test]
    fn finds_the_name_that_was_meant() {
        let known = ["listen", "upstream", "limits.idle_timeout"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("upstraem", known), Some("upstream"));
        assert_eq!(nearest("colour", known), None);
    }
}
