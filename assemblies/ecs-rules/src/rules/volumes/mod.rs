//! Rules about volumes.

crate::rule_modules! {
    mod v01_invalid_volume_name;
    mod v02_invalid_mount_point;
    mod v03_unknown_volumes_from;
    mod v04_host_volume;
    mod v05_launch_volume_conflict;
    mod v06_efs_encryption;
    mod v07_invalid_s3_files;
    mod v08_no_writable_path;
    mod v09_volume_not_writable;
    mod v10_invalid_efs;
    mod v11_s3_files_without_role;
    mod v12_unused_volume;
}
