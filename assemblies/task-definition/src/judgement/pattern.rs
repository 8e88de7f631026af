//! Paths and patterns of paths: `*` and `?` stay inside a folder, `**` does not.

/// Whether a pattern means a path. A pattern without a folder means the file wherever it lies.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let path = path.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let pattern = pattern.trim_start_matches("./");
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
        Some((&"**", rest)) => (0..=path.len()).any(|at| folders(rest, &path[at..])),
        Some((first, rest)) => path.split_first().is_some_and(|(name, inside)| {
            segment(first.as_bytes(), name.as_bytes()) && folders(rest, inside)
        }),
    }
}

/// Remembers the last `*` and lets it take one letter more when what follows does not fit.
fn segment(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut letter) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while letter < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, letter));
                at += 1;
            }
            Some(one) if *one == b'?' || *one == name[letter] => {
                at += 1;
                letter += 1;
            }
            _ => {
                let Some((before, taken)) = star else {
                    return false;
                };
                star = Some((before, taken + 1));
                (at, letter) = (before + 1, taken + 1);
            }
        }
    }

    pattern[at..].iter().all(|one| *one == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn means_what_people_expect() {
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
