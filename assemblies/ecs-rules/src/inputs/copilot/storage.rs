//! Converts `storage`: volumes, mount points and the size of the task's own storage.

use diagnostics::source::{Node, NodeValue, Span};

use crate::inputs::derived::Notes;
use crate::inputs::derived::fields::{flag, integer, scalar_text};
use crate::inputs::derived::record::{Record, boolean, some_list, text, unknown};

/// Returns the size of the storage, unless it is that of every task.
pub(super) fn ephemeral(manifest: &Node, notes: &Notes<'_>) -> Option<Node> {
    let node = manifest.at("/storage/ephemeral")?;
    if notes.known_text(node).as_deref() == Some("20") {
        return None;
    }
    let record = Record::new(node.span).with("sizeInGiB", integer(node, notes));
    Some(record.into_node())
}

/// Returns the volumes of the task.
pub(super) fn volumes(manifest: &Node, notes: &Notes<'_>) -> Option<Node> {
    let node = manifest.at("/storage/volumes")?;
    let volumes = node.entries().iter().map(|(key, settings)| {
        let mut record = Record::new(key.span).with("name", text(&key.name, key.span));
        record.add_some(
            "efsVolumeConfiguration",
            settings.get("efs").and_then(|efs| efs_volume(efs, notes)),
        );
        record.into_node()
    });
    some_list(volumes.collect(), node.span)
}

/// Returns the file system of a volume: one of Copilot's (`true`, or a user and group), or an existing one.
fn efs_volume(efs: &Node, notes: &Notes<'_>) -> Option<Node> {
    let span = efs.span;
    if let NodeValue::Bool(false) | NodeValue::Null = efs.value {
        return None;
    }
    let id = efs
        .get("id")
        .map(|id| scalar_text(id, notes).unwrap_or_else(|| unknown("id", id.span)));
    // `true`, or a user and group, asks Copilot to make one.
    let is_own = id.is_some();
    let mut record = Record::new(span);
    record.add(
        "fileSystemId",
        id.unwrap_or_else(|| unknown("fileSystem", span)),
    );
    record.add_some(
        "rootDirectory",
        efs.get("root_dir")
            .and_then(|node| scalar_text(node, notes)),
    );
    record.add("transitEncryption", text("ENABLED", span));
    record.add("authorizationConfig", authorization(efs, is_own, notes));
    Some(record.into_node())
}

fn authorization(efs: &Node, is_own: bool, notes: &Notes<'_>) -> Node {
    let span = efs.span;
    let mut record = Record::new(span);
    if !is_own {
        record.add("accessPointId", unknown("accessPoint", span));
        record.add("iam", text("ENABLED", span));
        return record.into_node();
    }

    // The default of an existing file system is IAM, without an access point.
    let iam = efs.at("/auth/iam").and_then(|node| notes.known_text(node));
    let word = if iam.as_deref() == Some("false") {
        "DISABLED"
    } else {
        "ENABLED"
    };
    record.add("iam", text(word, span));
    let access_point = efs
        .at("/auth/access_point_id")
        .and_then(|node| scalar_text(node, notes));
    record.add_some("accessPointId", access_point);
    record.into_node()
}

/// Returns the mount points of the main container.
pub(super) fn mount_points(manifest: &Node, notes: &Notes<'_>) -> Option<Node> {
    let node = manifest.at("/storage/volumes")?;
    let points = node.entries().iter().filter_map(|(key, settings)| {
        // A volume without a path is mounted by sidecars only.
        settings.get("path")?;
        Some(mount_point(text(&key.name, key.span), settings, notes))
    });
    some_list(points.collect(), node.span)
}

/// Returns the mount points of a sidecar.
pub(super) fn sidecar_mount_points(settings: &Node, notes: &Notes<'_>) -> Option<Node> {
    let node = settings.get("mount_points")?;
    let points = node.items().iter().map(|point| {
        let volume = point
            .get("source_volume")
            .and_then(|node| scalar_text(node, notes));
        mount_point(volume.unwrap_or_else(|| missing(point.span)), point, notes)
    });
    some_list(points.collect(), node.span)
}

fn mount_point(volume: Node, settings: &Node, notes: &Notes<'_>) -> Node {
    let mut record = Record::new(settings.span).with("sourceVolume", volume);
    record.add_some(
        "containerPath",
        settings
            .get("path")
            .and_then(|node| scalar_text(node, notes)),
    );
    // Copilot mounts a volume read-only by default.
    let read_only = settings.get("read_only").and_then(|node| flag(node, notes));
    record.add(
        "readOnly",
        read_only.unwrap_or_else(|| boolean(true, settings.span)),
    );
    record.into_node()
}

/// Returns the empty name of a volume that is not named.
fn missing(span: Span) -> Node {
    text("", span)
}
