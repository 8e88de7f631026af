//! `check --fix`: mends what leaves nothing to decide, and leaves everything else of the file as it is.
//!
//! Only what stands in the file itself is mended: a finding about a manifest comes from what was worked out
//! of it, and a template's values may come from elsewhere.

use std::path::Path;

use task_definition::source::{Source, parse};
use task_definition::{Finding, Fix, Judged, Judgement, mend};

use crate::failure::Failure;
use crate::talk::Talk;
use crate::unified::diff;

/// What is done about findings that can be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mending {
    /// Nothing.
    No,
    /// They are mended in the files.
    Write,
    /// What would be mended is shown.
    Show,
}

/// The file as it is when all that can be mended is. What has been mended may let another rule see
/// something that can be, so it is asked again.
pub(super) fn mended(
    source: &Source,
    judgement: &Judgement,
    check: impl Fn(&Source, &Judgement) -> Judged,
) -> (Source, Vec<String>) {
    let mut source = source.clone();
    let mut titles = Vec::new();
    if !is_mendable(&source) {
        return (source, titles);
    }

    for _ in 0..ROUNDS {
        let found = check(&source, judgement).findings;
        let (fixes, text) = together(&source, &found);
        if text == source.text {
            break;
        }

        titles.extend(fixes);
        source.text = text;
    }

    (source, titles)
}

/// Writes the mended text, or shows it. Answers whether there is a difference.
pub(super) fn keep(
    before: &Source,
    after: &Source,
    titles: &[String],
    path: &Path,
    mending: Mending,
    talk: &Talk,
) -> Result<bool, Failure> {
    if before.text == after.text {
        return Ok(false);
    }
    if mending == Mending::Show {
        talk.data(&diff(&before.name, &before.text, &after.text));
        return Ok(true);
    }

    std::fs::write(path, &after.text).map_err(|source| Failure::File {
        act: "write",
        path: path.to_owned(),
        source,
    })?;
    for title in titles {
        talk.say(&format!("mended {}: {title}", before.name));
    }

    Ok(true)
}

/// Whether the rules' pointers are those of the text: a definition as it is registered or described.
pub(super) fn is_mendable(source: &Source) -> bool {
    parse(source).is_ok_and(|node| {
        node.get("containerDefinitions").is_some() || node.at("/taskDefinition/family").is_some()
    })
}

/// As many of the fixes as can be applied together; one that is in the way of those before it waits.
fn together(source: &Source, findings: &[Finding]) -> (Vec<String>, String) {
    let mut fixes: Vec<Fix> = Vec::new();
    let mut text = source.text.clone();
    for fix in findings.iter().filter_map(|finding| finding.fix.clone()) {
        fixes.push(fix);
        match mend(source, &fixes) {
            Ok(mended) => text = mended,
            Err(_) => drop(fixes.pop()),
        }
    }
    (fixes.into_iter().map(|fix| fix.title).collect(), text)
}

const ROUNDS: usize = 8;
