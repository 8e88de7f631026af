//! Selects the images of a repository that nothing names any more.
//!
//! The selection is a pure function. What it must keep is collected by the caller: lock files, task definitions,
//! services. [`Client::manifests`](crate::Client::manifests) lists what a repository has.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::digest::Digest;

/// A manifest or index in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// The digest.
    pub digest: Digest,
    /// The tags; may be empty.
    pub tags: Vec<String>,
    /// The manifests that an index refers to.
    pub children: Vec<Digest>,
    /// The manifest that this one describes, such as the image of an SBOM.
    pub subject: Option<Digest>,
}

/// What must be kept in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Images that are named by digest.
    pub digests: BTreeSet<Digest>,
    /// Images that are named by tag.
    pub tags: BTreeSet<String>,
}

/// Returns the digests that can be deleted, indexes before the manifests they refer to.
///
/// A named image is kept with everything that belongs to it: the manifests of an index, and the manifests that describe
/// it, such as an SBOM or a signature, whether they refer to it (`subject`) or have its digest as their tag (the
/// referrers tag schema of the OCI distribution specification 1.1, and the tags of cosign).
pub fn select(manifests: &[StoredManifest], keep: &Keep) -> Vec<Digest> {
    let kept = closure(manifests, keep);
    let mut selected: Vec<&StoredManifest> = manifests
        .iter()
        .filter(|manifest| !kept.contains(&manifest.digest))
        .collect();

    // Amazon ECR refuses to delete a manifest that an index refers to. A stable sort, so that the order is otherwise
    // that of the list.
    let depths = depths(manifests);
    selected.sort_by_key(|manifest| std::cmp::Reverse(depths.get(&manifest.digest).copied()));

    let mut seen = HashSet::new();
    selected
        .into_iter()
        .map(|manifest| manifest.digest.clone())
        .filter(|digest| seen.insert(digest.clone()))
        .collect()
}

/// Returns every digest that is named, or belongs to one that is.
fn closure(manifests: &[StoredManifest], keep: &Keep) -> HashSet<Digest> {
    let named = manifests.iter().filter(|manifest| {
        manifest
            .tags
            .iter()
            .any(|tag| keep.tags.contains(tag.as_str()))
    });
    let named = named.map(|manifest| manifest.digest.clone());
    let mut pending: Vec<Digest> = keep.digests.iter().cloned().chain(named).collect();

    // By digest: the manifests that come with it.
    let mut companions: HashMap<&Digest, Vec<&Digest>> = HashMap::new();
    let mut by_tag: HashMap<String, Vec<&Digest>> = HashMap::new();
    for manifest in manifests {
        let with = companions.entry(&manifest.digest).or_default();
        with.extend(&manifest.children);
        if let Some(subject) = &manifest.subject {
            companions
                .entry(subject)
                .or_default()
                .push(&manifest.digest);
        }
        for hex in manifest.tags.iter().filter_map(|tag| described_hex(tag)) {
            by_tag.entry(hex).or_default().push(&manifest.digest);
        }
    }

    let mut kept = HashSet::new();
    while let Some(digest) = pending.pop() {
        if !kept.insert(digest.clone()) {
            continue;
        }
        let referring = companions.get(&digest).into_iter().flatten();
        let tagged = by_tag.get(digest.hex()).into_iter().flatten();
        pending.extend(referring.chain(tagged).copied().cloned());
    }

    kept
}

/// Returns the digest in a tag such as `sha256-HEX` or `sha256-HEX.sig`, without its algorithm.
fn described_hex(tag: &str) -> Option<String> {
    let rest = tag.strip_prefix("sha256-")?;
    let hex = rest.split('.').next()?;
    (hex.len() == 64).then(|| hex.to_owned())
}

/// Returns how many levels of manifests are below each one.
fn depths(manifests: &[StoredManifest]) -> HashMap<&Digest, usize> {
    let mut depths: HashMap<&Digest, usize> = HashMap::new();
    // An index can refer to indexes; the number of rounds bounds a list that is not a tree.
    for _ in 0..MAX_DEPTH {
        for manifest in manifests {
            let children = manifest.children.iter();
            let below = children.filter_map(|child| depths.get(child)).max();
            let depth = match (below, manifest.children.is_empty()) {
                (_, true) => 0,
                (below, false) => below.copied().unwrap_or(0) + 1,
            };
            depths.insert(&manifest.digest, depth.min(MAX_DEPTH));
        }
    }

    depths
}

const MAX_DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::from_content(&number.to_le_bytes())
    }

    fn manifest(number: usize, tags: &[&str], children: &[usize]) -> StoredManifest {
        StoredManifest {
            digest: digest(number),
            tags: tags.iter().map(ToString::to_string).collect(),
            children: children.iter().copied().map(digest).collect(),
            subject: None,
        }
    }

    fn numbers(selected: &[Digest]) -> Vec<usize> {
        let number = |found: &Digest| (0..100).find(|number| digest(*number) == *found);
        selected.iter().filter_map(number).collect()
    }

    #[test]
    fn keeps_what_belongs_to_a_named_image() {
        let referrers = format!("sha256-{}", digest(2).hex());
        let signature = format!("sha256-{}.sig", digest(1).hex());
        let manifests = [
            manifest(1, &["1.0"], &[2, 3]),
            manifest(2, &[], &[]),
            manifest(3, &[], &[]),
            manifest(4, &[&referrers], &[5]),
            // The SBOM of a manifest of the index.
            StoredManifest {
                subject: Some(digest(2)),
                ..manifest(5, &[], &[])
            },
            manifest(6, &[&signature], &[]),
            manifest(7, &["0.9"], &[8]),
            manifest(8, &[], &[]),
        ];
        let keep = Keep {
            tags: ["1.0".to_owned()].into(),
            ..Keep::default()
        };
        // The index comes before its manifest.
        assert_eq!(numbers(&select(&manifests, &keep)), [7, 8]);
    }

    #[test]
    fn selects_everything_when_nothing_is_named() {
        let manifests = [manifest(1, &["a"], &[]), manifest(1, &["b"], &[])];
        assert_eq!(numbers(&select(&manifests, &Keep::default())), [1]);
    }

    prop_compose! {
        fn any_manifest()(
            number in 0..12_usize,
            tags in vec("[ab][0-9]", 0..3),
            children in vec(0..12_usize, 0..4),
            subject in proptest::option::of(0..12_usize),
            describes in proptest::option::of(0..12_usize),
        ) -> StoredManifest {
            let fallback = describes.map(|number| format!("sha256-{}", digest(number).hex()));
            StoredManifest {
                digest: digest(number),
                tags: tags.into_iter().chain(fallback).collect(),
                children: children.into_iter().map(digest).collect(),
                subject: subject.map(digest),
            }
        }
    }

    proptest! {
        #[test]
        fn never_selects_what_is_named_or_belongs_to_it(
            manifests in vec(any_manifest(), 0..14),
            digests in btree_set(0..12_usize, 0..4),
            tags in btree_set("[ab][0-9]", 0..4),
        ) {
            let keep = Keep { digests: digests.into_iter().map(digest).collect(), tags };
            let selected = select(&manifests, &keep);
            let is_selected = |digest: &Digest| selected.contains(digest);

            for named in &keep.digests {
                prop_assert!(!is_selected(named));
            }
            for manifest in &manifests {
                if manifest.tags.iter().any(|tag| keep.tags.contains(tag)) {
                    prop_assert!(!is_selected(&manifest.digest));
                }

                // Companions of an image that is kept and exists, or is named, are kept.
                let is_kept = |digest: &Digest| {
                    let exists = manifests.iter().any(|other| other.digest == *digest);
                    !is_selected(digest) && (exists || keep.digests.contains(digest))
                };
                if is_kept(&manifest.digest) {
                    prop_assert!(manifest.children.iter().all(|child| !is_selected(child)));
                }
                if manifest.subject.as_ref().is_some_and(is_kept) {
                    prop_assert!(!is_selected(&manifest.digest));
                }
                let described = manifest.tags.iter().filter_map(|tag| tag.strip_prefix("sha256-"));
                for hex in described {
                    let described: Digest = format!("sha256:{hex}").parse().unwrap();
                    if is_kept(&described) {
                        prop_assert!(!is_selected(&manifest.digest));
                    }
                }
            }

            // Nothing else is kept: with the selection gone, a second run selects nothing.
            let rest: Vec<_> = manifests
                .iter()
                .filter(|manifest| !is_selected(&manifest.digest))
                .cloned()
                .collect();
            prop_assert!(select(&rest, &keep).is_empty());
            // Without names, everything goes, once.
            let all: BTreeSet<_> = manifests.iter().map(|manifest| manifest.digest.clone()).collect();
            prop_assert_eq!(select(&manifests, &Keep::default()).len(), all.len());
        }
    }
}
