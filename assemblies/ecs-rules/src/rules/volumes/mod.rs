//! Rules about volumes.

use crate::rules::Rule;

mod v01_invalid_volume_name;
mod v02_invalid_mount_point;
mod v03_unknown_volumes_from;
mod v04_host_volume;
mod v05_launch_volume_conflict;
mod v06_efs_encryption;
mod v07_invalid_s3_files;
mod v08_no_writable_path;
mod v09_volume_not_writable;

/// The rules of group V.
pub(super) static RULES: &[Rule] = &[
    v01_invalid_volume_name::RULE,
    v02_invalid_mount_point::RULE,
    v03_unknown_volumes_from::RULE,
    v04_host_volume::RULE,
    v05_launch_volume_conflict::RULE,
    v06_efs_encryption::RULE,
    v07_invalid_s3_files::RULE,
    v08_no_writable_path::RULE,
    v09_volume_not_writable::RULE,
];
