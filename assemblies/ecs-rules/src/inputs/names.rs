//! CloudFormation's names for the fields of the API: upper camel case, with a few exceptions.

/// Returns CloudFormation's name for a field of the API, in the record that the field `parent` holds.
pub fn cloudformation_name(parent: &str, field: &str) -> String {
    let special = EXCEPTIONS.iter().find(|(enclosing, name, _)| {
        *name == field && (enclosing.is_empty() || *enclosing == parent)
    });
    if let Some((.., name)) = special {
        return (*name).to_owned();
    }
    let mut letters = field.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

/// The field that holds the record (empty for any), the API's name, and CloudFormation's name.
const EXCEPTIONS: [(&str, &str, &str); 7] = [
    ("efsVolumeConfiguration", "fileSystemId", "FilesystemId"),
    ("", "efsVolumeConfiguration", "EFSVolumeConfiguration"),
    (
        "",
        "fsxWindowsFileServerVolumeConfiguration",
        "FSxWindowsFileServerVolumeConfiguration",
    ),
    (
        "",
        "s3filesVolumeConfiguration",
        "S3FilesVolumeConfiguration",
    ),
    ("", "iam", "IAM"),
    (
        "proxyConfiguration",
        "properties",
        "ProxyConfigurationProperties",
    ),
    ("", "placementStrategy", "PlacementStrategies"),
];

/// Properties that only CloudFormation has: type and property.
pub const ONLY_CLOUDFORMATION: [(&str, &str); 1] = [("AWS::ECS::Service", "ForceNewDeployment")];

/// Fields that CloudFormation does not have yet: type, and the path with CloudFormation's names.
pub const ONLY_API: [(&str, &str); 3] = [
    ("AWS::ECS::TaskDefinition", "TrustedExecutionConfiguration"),
    ("AWS::ECS::Service", "ClientToken"),
    ("AWS::ECS::Service", "GatewayConnectors/DeregistrationDelay"),
];
