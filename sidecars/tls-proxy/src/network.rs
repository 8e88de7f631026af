//! An address or a network in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3).

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A network, such as `10.0.0.0/16` or `2001:db8::/32`; a single address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The error of parsing a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseNetworkError {
    /// The text is neither an address nor a network.
    #[error("`{0}` is not a network; write one like 10.0.0.0/16 or 2001:db8::/32")]
    Invalid(String),
    /// The address has bits after the prefix, so that it is unclear which of the two is wrong.
    #[error("`{text}` has bits after its prefix; write {network}")]
    HostBits {
        /// The text.
        text: String,
        /// The network that contains the address.
        network: Network,
    },
}

impl Network {
    /// Returns whether the network contains an address; a mapped IPv4 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.address.is_ipv4() == address.is_ipv4()
            && prefix_bits(address, self.prefix) == prefix_bits(self.address, self.prefix)
    }
}

/// Returns the bits of the prefix, with zeros after them.
fn prefix_bits(address: IpAddr, prefix: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let host_bits = width - u32::from(prefix);
    // Shifting by all 128 bits, for the prefix 0, would overflow.
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    bits & mask
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ParseNetworkError::Invalid(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let width = if address.is_ipv4() { 32 } else { 128 };

        let prefix = match prefix {
            None => width,
            // `parse` accepts a sign, which no notation of networks has.
            Some(prefix) if !prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(invalid());
            }
            Some(prefix) => prefix.parse().map_err(|_| invalid())?,
        };
        // Connections from mapped addresses are compared as IPv4, so such a network would match nothing.
        if prefix > width || address.to_canonical() != address {
            return Err(invalid());
        }

        let network = Self {
            address: first_address(address, prefix),
            prefix,
        };
        if network.address != address {
            let text = text.to_owned();
            return Err(ParseNetworkError::HostBits { text, network });
        }
        Ok(network)
    }
}

fn first_address(address: IpAddr, prefix: u8) -> IpAddr {
    let bits = prefix_bits(address, prefix);
    match address {
        // The bits come from 32 bits, so nothing is cut off.
        IpAddr::V4(_) => IpAddr::V4((bits as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(bits.into()),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Network {
    type Error = ParseNetworkError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn contains_the_addresses_of_its_prefix() {
        for (text, inside, outside) in [
            ("10.0.0.0/16", "10.0.255.255", "10.1.0.0"),
            ("10.0.0.0/16", "::ffff:10.0.1.2", "::ffff:10.1.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            // The same bits in the other family.
            ("::a00:0/104", "::a00:1", "10.0.0.1"),
        ] {
            let network = network(text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(
                !network.contains(outside.parse().unwrap()),
                "{text} {outside}"
            );
        }
    }

    #[test]
    fn rejects_what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0/8",
            "2001:db8::/129",
            "::ffff:10.0.0.0/104",
            "example.com",
            "10.0.0.0/8/8",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert_eq!(error, ParseNetworkError::Invalid(text.to_owned()));
        }
    }

    #[test]
    fn rejects_bits_after_the_prefix_and_names_the_network() {
        let error = "10.0.0.1/8".parse::<Network>().unwrap_err().to_string();
        assert!(error.ends_with("write 10.0.0.0/8"), "{error}");
    }
}
