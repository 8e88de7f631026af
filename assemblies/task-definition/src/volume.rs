//! Volumes of a task and their kinds.

use std::collections::BTreeMap;

use crate::record::records;

records! {
    /// A volume that containers can mount. Without any configuration it is a piece of the task's own disk.
    Volume {
        /// The name that mount points refer to.
        "name" name: String,
        /// A folder of the machine; not on Fargate.
        "host" host: Option<HostVolume>,
        /// A Docker volume; not on Fargate.
        "dockerVolumeConfiguration" docker_volume_configuration: Option<DockerVolume>,
        /// An Elastic File System.
        "efsVolumeConfiguration" efs_volume_configuration: Option<EfsVolume>,
        /// An S3 Files file system.
        "s3filesVolumeConfiguration" s3files_volume_configuration: Option<S3FilesVolume>,
        /// FSx for Windows File Server.
        "fsxWindowsFileServerVolumeConfiguration" fsx_windows_file_server_volume_configuration: Option<FsxVolume>,
        /// Whether the volume is described when the task is run (EBS).
        "configuredAtLaunch" configured_at_launch: Option<bool>,
    }
    /// A folder of the machine.
    HostVolume {
        /// The folder.
        "sourcePath" source_path: Option<String>,
    }
    /// A Docker volume.
    DockerVolume {
        /// `task` or `shared`.
        "scope" scope: Option<String>,
        /// Whether a shared volume is made when it is missing.
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
        /// The folder that becomes the root.
        "rootDirectory" root_directory: Option<String>,
        /// `ENABLED` or `DISABLED`.
        "transitEncryption" transit_encryption: Option<String>,
        /// The port of the encrypted connection.
        "transitEncryptionPort" transit_encryption_port: Option<u32>,
        /// Who may read and write.
        "authorizationConfig" authorization_config: Option<EfsAuthorization>,
    }
    /// Who may use an Elastic File System.
    EfsAuthorization {
        /// The access point.
        "accessPointId" access_point_id: Option<String>,
        /// `ENABLED` when the task role is asked.
        "iam" iam: Option<String>,
    }
    /// An S3 Files file system.
    S3FilesVolume {
        /// The file system.
        "fileSystemArn" file_system_arn: String,
        /// The folder that becomes the root.
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
        /// The folder that becomes the root.
        "rootDirectory" root_directory: String,
        /// Who may use it.
        "authorizationConfig" authorization_config: FsxAuthorization,
    }
    /// Who may use FSx for Windows File Server.
    FsxAuthorization {
        /// Where the user's name and password are kept.
        "credentialsParameter" credentials_parameter: String,
        /// The domain.
        "domain" domain: String,
    }
}
