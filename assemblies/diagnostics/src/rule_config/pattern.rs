//! Paths and patterns of paths: `*` and `?` stay inside a folder, `**` does not.

/// Returns whether a pattern matches a path. A pattern without a folder matches the file name in any folder.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let slashed = path.replace('\\', "/");
    let path = slashed.trim_start_matches("./");
    let pattern = pattern.trim_start_matches("./");
    // Like a .gitignore entry: without a slash only the name counts.
    if !pattern.contains('/') {
        let name = path.rsplit('/').next().unwrap_or(path);
        return segment(pattern.as_bytes(), name.as_bytes());
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    folders(&pattern, &path)
}

fn folders(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skip| folders(rest, &path[skip..])),
        Some((first, rest)) => path.split_first().is_some_and(|(name, inside)| {
            segment(first.as_bytes(), name.as_bytes()) && folders(rest, inside)
        }),
    }
}

/// Matches one segment by backtracking to the last `*` only, which keeps the time below the product of both
/// lengths.
fn segment(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while next < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[next] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((star_at, end)) = star else {
                    return false;
                };
                // The star takes one byte more, and matching resumes behind it.
                star = Some((star_at, end + 1));
                (at, next) = (star_at + 1, end + 1);
            }
        }
    }

    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_paths_like_gitignore_patterns() {
        for (pattern, path, expected) in [
            ("task.json", "task.json", true),
            ("task.json", "./deep/down/task.json", true),
            ("*.json", "deep/down/task.json", true),
            ("deep/*.json", "deep/task.json", true),
            ("deep/*.json", "deep/down/task.json", false),
            ("deep/**/*.json", "deep/down/there/task.json", true),
            ("deep/**/*.json", "deep/task.json", true),
            ("**/task.json", "task.json", true),
            ("./deep/task.json", "deep/task.json", true),
            ("t?sk.json", "task.json", true),
            ("t*k*.json", "tasks-kept.json", true),
            ("*.yaml", "task.json", false),
            ("deep/task.json", "deep\\task.json", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
