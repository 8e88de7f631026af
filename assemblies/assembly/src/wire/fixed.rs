//! Finds programs behind a proxy whose listen address cannot be set.

use diagnostics::Finding;

use super::PublicPort;
use crate::component::UPSTREAM;
use crate::resolve::{ResolvedAssembly, Role};
use crate::rules;

/// Reports programs behind a proxy whose address cannot be set: they listen on all addresses.
pub(super) fn fixed_inner_addresses(
    assembly: &ResolvedAssembly,
    public: Option<&PublicPort>,
) -> Vec<Finding> {
    let upstreams = assembly.links.iter().filter(|link| {
        let user = &assembly.members[link.user];
        user.role == Role::Ingress && link.requirement.as_deref() == Some(UPSTREAM)
    });
    let inner =
        upstreams.filter(|link| public.is_some_and(|public| public.member != link.provider));

    inner
        .filter_map(|link| {
            let provider = &assembly.members[link.provider];
            let provided = &provider.component.file().provides[&link.interface];
            provided.setting.is_empty().then(|| {
                rules::m45_fixed_inner_address::fixed_inner_address(
                    provider.location.clone(),
                    provider.name(),
                    provided.port,
                    assembly.members[link.user].name(),
                    &link.interface,
                )
            })
        })
        .collect()
}
