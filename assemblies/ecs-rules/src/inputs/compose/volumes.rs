//! Converts `volumes` and `tmpfs` of services to volumes of the task, mount points and tmpfs.

use std::collections::BTreeMap;

use diagnostics::source::{Key, Node, NodeValue, Span};

use crate::inputs::derived::Notes;
use crate::inputs::derived::amounts::mebibytes;
use crate::inputs::derived::fields::{flag, scalar_text};
use crate::inputs::derived::record::{Record, boolean, list, number, some_list, text, unknown};

/// The volumes of the task.
pub(super) struct Volumes {
    /// The named volumes of the file.
    named: Vec<(Key, Node)>,
    /// Bind mounts and volumes without a name, by their names in the task.
    added: Vec<(String, Node)>,
    /// The names of bind mounts, by the path on the host.
    names: BTreeMap<String, String>,
}

/// The mounts of a service.
#[derive(Default)]
pub(super) struct Mounts {
    points: Vec<Node>,
    tmpfs: Vec<Node>,
}

impl Volumes {
    pub(super) fn new(named: Option<&Node>) -> Self {
        Self {
            named: named
                .map(|node| node.entries().to_vec())
                .unwrap_or_default(),
            added: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// Returns the volumes of the task definition.
    pub(super) fn into_list(self, span: Span, notes: &mut Notes<'_>) -> Option<Node> {
        let mut volumes = Vec::new();
        for (key, settings) in &self.named {
            let message = format!(
                "the volume `{}` keeps its files under Compose; on Fargate it is empty in each new task, unless it is on \
                 EFS or EBS",
                key.name
            );
            notes.add(key.span, message);
            if !settings.entries().is_empty() {
                let message = format!(
                    "the settings of the volume `{}` are not evaluated",
                    key.name
                );
                notes.add(settings.span, message);
            }
            let record = Record::new(key.span).with("name", text(&key.name, key.span));
            volumes.push(record.into_node());
        }
        volumes.extend(self.added.into_iter().map(|(_, volume)| volume));
        some_list(volumes, span)
    }

    /// Adds a bind mount or a volume without a name, and returns its name in the task.
    fn add(&mut self, path: Option<&str>, span: Span) -> String {
        if let Some(known) = path.and_then(|path| self.names.get(path)) {
            return known.clone();
        }
        let base = match path {
            Some(path) => format!("bind-{}", name_part(path)),
            None => "volume".to_owned(),
        };

        // A name of the file must not get another meaning.
        let is_taken = |name: &str| {
            self.added.iter().any(|(other, _)| other == name)
                || self.named.iter().any(|(key, _)| key.name == name)
        };
        let numbered = (2_usize..).map(|number| format!("{base}-{number}"));
        let mut candidates = std::iter::once(base.clone()).chain(numbered);
        let name = candidates.find(|name| !is_taken(name)).unwrap_or(base);

        let mut record = Record::new(span).with("name", text(&name, span));
        if let Some(path) = path {
            let host = Record::new(span).with("sourcePath", text(path, span));
            record.add("host", host.into_node());
            self.names.insert(path.to_owned(), name.clone());
        }
        self.added.push((name.clone(), record.into_node()));
        name
    }

    /// Converts the mounts of a service.
    pub(super) fn mounts(&mut self, service: &Node, notes: &mut Notes<'_>) -> Mounts {
        let mut mounts = Mounts::default();
        for volume in service.get("volumes").map_or(&[][..], Node::items) {
            match &volume.value {
                NodeValue::Map(_) => self.long(volume, &mut mounts, notes),
                _ => self.short(volume, &mut mounts, notes),
            }
        }

        if let Some(tmpfs) = service.get("tmpfs") {
            let single = std::slice::from_ref(tmpfs);
            let items = match &tmpfs.value {
                NodeValue::List(items) => items,
                _ => single,
            };
            mounts
                .tmpfs
                .extend(items.iter().filter_map(|item| short_tmpfs(item, notes)));
        }
        mounts
    }

    /// Reads `[SOURCE:]PATH[:MODE]`.
    fn short(&mut self, volume: &Node, mounts: &mut Mounts, notes: &mut Notes<'_>) {
        let span = volume.span;
        let Some(known) = notes.known_text(volume) else {
            notes.add(
                span,
                "this mount is not evaluated: it has a variable without a default",
            );
            return;
        };
        let mut parts = known.splitn(3, ':');
        let first = parts.next().unwrap_or_default();
        let (source, path, mode) = match (parts.next(), parts.next()) {
            (Some(path), mode) => (Some(first), path, mode.unwrap_or_default()),
            (None, _) => (None, first, ""),
        };

        // Compose tells a path from a name by its beginning.
        let is_path = |source: &str| source.starts_with(['.', '/', '~']);
        let name = match source {
            Some(source) if !is_path(source) => source.to_owned(),
            path => self.add(path, span),
        };

        let mut point = Record::new(span)
            .with("sourceVolume", text(name, span))
            .with("containerPath", text(path, span));
        if mode.split(',').any(|word| word == "ro") {
            point.add("readOnly", boolean(true, span));
        }
        mounts.points.push(point.into_node());
    }

    /// Reads the form with `type`, `source` and `target`.
    fn long(&mut self, volume: &Node, mounts: &mut Mounts, notes: &mut Notes<'_>) {
        let span = volume.span;
        let Some(target) = volume
            .get("target")
            .and_then(|node| scalar_text(node, notes))
        else {
            notes.add(span, "this mount is not evaluated: it has no `target`");
            return;
        };
        let kind = volume.get("type").and_then(|kind| notes.known_text(kind));
        let source = volume.get("source").and_then(|node| notes.known_text(node));
        let name = match (kind.as_deref(), source) {
            (Some("tmpfs"), _) => {
                let size = volume
                    .at("/tmpfs/size")
                    .and_then(|size| notes.known_text(size));
                mounts.tmpfs.push(tmpfs(target, size.as_deref(), span));
                return;
            }
            (Some("bind"), Some(path)) => self.add(Some(&path), span),
            (Some("volume") | None, Some(name)) => name,
            (Some("volume"), None) => self.add(None, span),
            (kind, _) => {
                let kind = kind.unwrap_or("this kind");
                notes.add(span, format!("a mount of type `{kind}` is not evaluated"));
                return;
            }
        };

        let mut point = Record::new(span)
            .with("sourceVolume", text(name, span))
            .with("containerPath", target);
        let read_only = volume.get("read_only").and_then(|node| flag(node, notes));
        point.add_some("readOnly", read_only);
        mounts.points.push(point.into_node());
    }
}

impl Mounts {
    /// Returns the mount points, and the tmpfs of `linuxParameters`.
    pub(super) fn into_lists(self, span: Span) -> (Option<Node>, Option<Node>) {
        (some_list(self.points, span), some_list(self.tmpfs, span))
    }
}

/// Reads `PATH[:OPTION,…]`.
fn short_tmpfs(item: &Node, notes: &Notes<'_>) -> Option<Node> {
    let known = notes.known_text(item)?;
    let (path, options) = known.split_once(':').unwrap_or((&known, ""));
    let size = options
        .split(',')
        .find_map(|option| option.strip_prefix("size="));
    Some(tmpfs(text(path, item.span), size, item.span))
}

fn tmpfs(path: Node, size: Option<&str>, span: Span) -> Node {
    // Docker limits a tmpfs to half of the memory of the host, which ECS has no value for.
    let size = size.and_then(mebibytes).map_or_else(
        || unknown("size", span),
        |mebibytes| number(mebibytes, span),
    );
    Record::new(span)
        .with("containerPath", path)
        .with("size", size)
        .with("mountOptions", list(Vec::new(), span))
        .into_node()
}

/// Returns the letters of a path that the name of a volume may have.
fn name_part(path: &str) -> String {
    let letters = path.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '-',
    });
    let name: String = letters.collect();
    let name = name.trim_matches('-');
    let name = if name.is_empty() { "folder" } else { name };
    name.chars().take(MAX_NAME).collect()
}

/// Well below the 255 letters that ECS allows.
const MAX_NAME: usize = 100;
