//! The identity of a task that another program starts: what its metadata, its ARNs and its records have.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The identity of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskIdentity {
    /// The region in its ARNs.
    pub region: String,
    /// The account in its ARNs.
    pub account: String,
    /// The name of its cluster.
    pub cluster: String,
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// The revision of its definition.
    pub revision: u32,
    /// The address of this host on which its ports are published.
    pub address: Ipv4Addr,
    /// The name of its service, if it belongs to one.
    pub service: Option<String>,
}

impl fmt::Display for TaskIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            region,
            account,
            cluster,
            id,
            revision,
            address,
            service,
        } = self;
        write!(
            formatter,
            "{region}/{account}/{cluster}/{id}/{revision}/{address}"
        )?;
        match service {
            Some(service) => write!(formatter, "/{service}"),
            None => Ok(()),
        }
    }
}

impl FromStr for TaskIdentity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || "expected REGION/ACCOUNT/CLUSTER/ID/REVISION/ADDRESS[/SERVICE]".to_owned();
        let mut parts = text.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let mut text = || next().map(str::to_owned).ok_or_else(invalid);

        Ok(Self {
            region: text()?,
            account: text()?,
            cluster: text()?,
            id: text()?,
            revision: text()?.parse().map_err(|_| invalid())?,
            address: text()?.parse().map_err(|_| invalid())?,
            service: text().ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_command_line() {
        for text in [
            "eu-central-1/111122223333/shop/cd18/3/127.9.0.1/web",
            "eu-central-1/111122223333/shop/cd18/3/127.9.0.1",
        ] {
            assert_eq!(text.parse::<TaskIdentity>().unwrap().to_string(), text);
        }
        assert!("eu-central-1/1/shop".parse::<TaskIdentity>().is_err());
    }
}
