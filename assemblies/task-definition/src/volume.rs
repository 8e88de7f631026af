//! The volumes of a task.

use std::collections::BTreeMap;

use crate::record::records;

records! {
    /// A volume that containers can mount. Without a configuration it is a bind mount on ephemeral storage.
    Volume {
        /// The name that mount points refer to.
        "name" name: String,
        /// A folder of the host; not on Fargate.
        "host" host: Option<HostVolume>,
        /// A Docker volume; not on Fargate.
        "dockerVolumeConfiguration" docker_volume_configuration: Option<DockerVolume>,
        /// An Elastic File System.
        "efsVolumeConfiguration" efs_volume_configuration: Option<EfsVolume>,
        /// An S3 Files file system.
        "s3filesVolumeConfiguration" s3files_volume_configuration: Option<S3FilesVolume>,
        /// FSx for Windows File Server.
        "fsxWindowsFileServerVolumeConfiguration" fsx_windows_file_server_volume_configuration: Option<FsxVolume>,
        /// Whether the volume is configured when the task is launched (EBS).
        "configuredAtLaunch" configured_at_launch: Option<bool>,
    }
    /// A folder of the host.
    HostVolume {
        /// The folder.
        "sourcePath" source_path: Option<String>,
    }
    /// A Docker volume.
    DockerVolume {
        /// `task` or `shared`.
        "scope" scope: Option<String>,
        /// Whether a missing shared volume is created.
        "autoprovision" autoprovision: Option<bool>,
        /// The driver.
        "driver" driver: Option<String>,
        /// Options of the driver.
        "driverOpts" driver_opts: BTreeMap<String, String>,
        /// Labels of the volume.
        "labels" labels: BTreeMap<String, String>,
    }
    /// An Elastic File System.
    EfsVolume {
        /// The file system.
        "fileSystemId" file_system_id: String,
        /// The folder that is mounted as the root.
        "rootDirectory" root_directory: Option<String>,
        /// `ENABLED` or `DISABLED`.
        "transitEncryption" transit_encryption: Option<String>,
        /// The port of the encrypted connection.
        "transitEncryptionPort" transit_encryption_port: Option<u32>,
        /// The authorization.
        "authorizationConfig" authorization_config: Option<EfsAuthorization>,
    }
    /// The authorization for an Elastic File System.
    EfsAuthorization {
        /// The access point.
        "accessPointId" access_point_id: Option<String>,
        /// `ENABLED` to authorize with the task role.
        "iam" iam: Option<String>,
    }
    /// An S3 Files file system.
    S3FilesVolume {
        /// The file system.
        "fileSystemArn" file_system_arn: String,
        /// The folder that is mounted as the root.
        "rootDirectory" root_directory: Option<String>,
        /// The port of the encrypted connection.
        "transitEncryptionPort" transit_encryption_port: Option<u32>,
        /// The access point.
        "accessPointArn" access_point_arn: Option<String>,
    }
    /// FSx for Windows File Server.
    FsxVolume {
        /// The file system.
        "fileSystemId" file_system_id: String,
        /// The folder that is mounted as the root.
        "rootDirectory" root_directory: String,
        /// The authorization.
        "authorizationConfig" authorization_config: FsxAuthorization,
    }
    /// The authorization for FSx for Windows File Server.
    FsxAuthorization {
        /// The secret or parameter with user name and password.
        "credentialsParameter" credentials_parameter: String,
        /// The domain.
        "domain" domain: String,
    }
}
