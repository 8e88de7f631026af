//! Names of resources: the region and account in ARNs, and identifiers that callers pass as a name or an ARN.

use aws_lc_rs::rand;

use crate::api_error::ApiError;
use crate::hex::hex;

/// The region and the account of the emulator.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) region: String,
    pub(crate) account: String,
}

impl Owner {
    /// Returns the ARN of an ECS resource: `cluster/default`, `task/default/…`.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region, self.account)
    }

    /// Returns the part of an identifier after `kind/`, if it is an ARN of this kind; the identifier itself if it is
    /// no ARN.
    pub(crate) fn resource<'a>(&self, text: &'a str, kind: &str) -> Result<&'a str, ApiError> {
        if !text.starts_with("arn:") {
            return Ok(text);
        }
        let invalid = || {
            ApiError::invalid_parameter(format!(
                "Invalid identifier: {text} is not the ARN of a {kind} in account {} and region {}",
                self.account, self.region
            ))
        };

        let name = text.strip_prefix(&self.arn(&format!("{kind}/")));
        name.filter(|name| !name.is_empty()).ok_or_else(invalid)
    }
}

/// Returns a random number in hexadecimal with 32 digits: the id of a task.
pub(crate) fn random_id() -> String {
    hex(&random_bytes::<16>())
}

/// Returns a random UUID, version 4 (RFC 9562, section 5.4).
pub(crate) fn random_uuid() -> String {
    let mut bytes = random_bytes::<16>();
    // The version is in the upper half of byte 6, the variant in the upper bits of byte 8.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex(&bytes);
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// Returns random bytes. Ids need not be secret, so a weaker source is good enough if the system has no other.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() {
        bytes.fill_with(|| fastrand::u8(..));
    }
    bytes
}

/// Checks a name of a cluster or a family: at most 255 letters, digits, `-` and `_`.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.len() <= 255 && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            region: "eu-central-1".into(),
            account: "111122223333".into(),
        }
    }

    #[test]
    fn reads_names_and_arns() {
        let arn = owner().arn("cluster/shop");
        assert_eq!(arn, "arn:aws:ecs:eu-central-1:111122223333:cluster/shop");
        assert_eq!(owner().resource(&arn, "cluster"), Ok("shop"));
        assert_eq!(owner().resource("shop", "cluster"), Ok("shop"));
        assert!(
            owner()
                .resource("arn:aws:ecs:eu-central-1:111122223333:task/shop", "cluster")
                .is_err()
        );
        assert!(owner().resource("arn:aws", "cluster").is_err());
        let elsewhere = "arn:aws:ecs:us-east-1:111122223333:cluster/shop";
        assert!(owner().resource(elsewhere, "cluster").is_err());
    }

    #[test]
    fn ids_are_unique_and_have_the_form_of_ecs() {
        let (first, second) = (random_id(), random_id());
        assert_ne!(first, second);
        assert_eq!(first.len(), 32);
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
    }
}
