//! Compares the names that an assembly gets in several environments.

use diagnostics::Finding;
use diagnostics::source::Source;

use crate::manifest;
use crate::rules::m46_same_names;
use crate::values::Values;

/// Returns a finding if an assembly has the same name in two environments of one account and region, where the stacks
/// would create the same roles, log groups and services.
pub fn check_names(source: &Source, environments: &[Values]) -> Option<Finding> {
    let mut seen: Vec<(Identity, &str)> = Vec::new();
    for values in environments {
        let environment = values.environments().last()?;
        // Other findings say why a manifest cannot be read.
        let Some(manifest) = manifest::read(source, values).0 else {
            continue;
        };
        let Some(identity) = Identity::new(&manifest) else {
            continue;
        };

        let same = seen
            .iter()
            .find(|(known, other)| *known == identity && other != environment);
        if let Some((_, other)) = same {
            let location = manifest.location("/name");
            let Identity { name, account, .. } = &identity;
            return Some(m46_same_names::same_names(
                location,
                name,
                [other, environment],
                account,
            ));
        }
        seen.push((identity, environment));
    }
    None
}

/// What makes the names of two stacks collide.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    account: String,
    region: String,
    name: String,
}

impl Identity {
    /// Returns the identity of a manifest, if it is deployed: local runs have an account of zeros.
    fn new(manifest: &manifest::Manifest) -> Option<Self> {
        let get = |name: &str| manifest.values().get(name).map(str::to_owned);
        let (account, region) = (get("account")?, get("region")?);
        let name = manifest.file().name.clone();
        let is_deployed = account.bytes().any(|byte| byte != b'0') && !name.is_empty();
        is_deployed.then_some(Self {
            account,
            region,
            name,
        })
    }
}
