//! The partitions of AWS: groups of regions with their own accounts, domains and ARNs.

/// A partition.
///
/// Source: `partitions.json` of the SDKs, and "Amazon Resource Names" in the IAM user guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    /// How the names of its regions begin.
    regions: &'static str,
    name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
    /// The host of IAM, and the region in signatures for it.
    iam: (&'static str, &'static str),
}

impl Partition {
    /// Returns the partition of a region; an unknown one is in the commercial partition.
    pub(crate) fn from_region(region: &str) -> Self {
        let found = PARTITIONS
            .iter()
            .find(|partition| region.starts_with(partition.regions));
        *found.unwrap_or(&COMMERCIAL)
    }

    /// Returns the name, such as `aws-cn`, which is part of every ARN.
    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    /// Returns the domain of the endpoints.
    pub(crate) fn suffix(self) -> &'static str {
        self.suffix
    }

    /// Returns the domain of the endpoints with IPv6.
    pub(crate) fn dual_stack_suffix(self) -> &'static str {
        self.dual_stack_suffix
    }

    /// Returns the host of IAM, and the region in signatures for it.
    pub(crate) fn iam(self) -> (&'static str, &'static str) {
        self.iam
    }
}

const COMMERCIAL: Partition = Partition {
    regions: "",
    name: "aws",
    suffix: "amazonaws.com",
    dual_stack_suffix: "api.aws",
    iam: ("iam.amazonaws.com", "us-east-1"),
};

/// `us-isob-` and others before `us-iso-`.
const PARTITIONS: [Partition; 7] = [
    Partition {
        regions: "cn-",
        name: "aws-cn",
        suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
        iam: ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    },
    Partition {
        regions: "us-gov-",
        name: "aws-us-gov",
        suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
        iam: ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
    },
    Partition {
        regions: "eusc-",
        name: "aws-eusc",
        suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
        iam: ("iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    },
    Partition {
        regions: "us-isob-",
        name: "aws-iso-b",
        suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
        iam: ("iam.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
    },
    Partition {
        regions: "us-isof-",
        name: "aws-iso-f",
        suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
        iam: ("iam.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
    },
    Partition {
        regions: "eu-isoe-",
        name: "aws-iso-e",
        suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
        iam: ("iam.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
    },
    Partition {
        regions: "us-iso-",
        name: "aws-iso",
        suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
        iam: ("iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
    },
];
