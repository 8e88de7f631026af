//! Derives the start order.

use diagnostics::Location;
use task_definition::Condition;

use super::ContainerWiring;
use crate::resolve::{AssemblyMember, ResolvedAssembly, Role};

/// Derives `dependsOn`. ECS stops containers in the reverse order.
///
/// A member waits for the members it uses, so that it gets SIGTERM first and they still answer while it
/// drains. The app waits for its sidecars, and for the init programs.
pub(super) fn order(assembly: &ResolvedAssembly, containers: &mut [ContainerWiring]) {
    let edges = assembly.links.iter().map(|link| (link.user, link.provider));
    let app = assembly
        .members
        .iter()
        .position(|member| member.role == Role::App);
    let sidecars = assembly
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.role == Role::Sidecar)
        .filter_map(|(sidecar, _)| Some((app?, sidecar)));

    let router = assembly.router.as_ref().map(|router| router.member);
    // With FireLens every container logs through the router, so it starts first and stops last.
    let logging = (0..assembly.members.len())
        .filter_map(|user| Some((user, router?)))
        .filter(|(user, router)| user != router);
    for (user, provider) in edges.chain(sidecars).chain(logging) {
        // A sidecar may use the app; then the app cannot wait for it without a dependency cycle.
        if reaches(containers, provider, user) {
            continue;
        }

        let (member, other) = (&assembly.members[user], &assembly.members[provider]);
        // HEALTHY needs a health check; a component with `waits: true` retries by itself.
        let start_suffices =
            member.component.file().waits || other.component.file().health.is_none();
        let condition = if start_suffices {
            Condition::Start
        } else {
            Condition::Healthy
        };

        let derivation = format!(
            "`{}` uses `{}`, so it starts after it and is stopped before it",
            member.name(),
            other.name()
        );
        add_dependency(
            &mut containers[user],
            provider,
            condition,
            derivation,
            member,
        );
    }

    order_init(assembly, app, containers);
}

/// Init programs run one after the other, and the app waits until all have succeeded.
fn order_init(assembly: &ResolvedAssembly, app: Option<usize>, containers: &mut [ContainerWiring]) {
    let members = assembly.members.iter().enumerate();
    let mut inits: Vec<usize> = members
        .filter(|(_, member)| member.role == Role::Init)
        .map(|(index, _)| index)
        .collect();
    // `order:` in the manifest moves members; init programs keep the order of `init:`.
    let listed = &assembly.manifest.file().init;

    inits.sort_by_key(|index| {
        let name = assembly.members[*index].component.name();
        listed.iter().position(|listed| listed == name)
    });

    for pair in inits.windows(2) {
        let derivation = "init programs run one after the other".to_owned();
        add_dependency(
            &mut containers[pair[1]],
            pair[0],
            Condition::Success,
            derivation,
            &assembly.members[pair[1]],
        );
    }

    if let (Some(app), Some(last)) = (app, inits.last()) {
        let derivation = format!(
            "`{}` runs to its end before the app starts",
            assembly.members[*last].name()
        );
        add_dependency(
            &mut containers[app],
            *last,
            Condition::Success,
            derivation,
            &assembly.members[app],
        );
    }
}

fn add_dependency(
    wired: &mut ContainerWiring,
    on: usize,
    condition: Condition,
    derivation: String,
    member: &AssemblyMember,
) {
    // The first dependency on a container wins: ECS accepts only one condition per pair.
    if wired.depends_on.iter().all(|(known, ..)| *known != on) {
        let location = Location::from_derivation(derivation, Some(member.location.clone()));
        wired.depends_on.push((on, condition, location));
    }
}

/// Returns whether `from` waits for `to`, directly or through other members.
fn reaches(containers: &[ContainerWiring], from: usize, to: usize) -> bool {
    from == to
        || containers[from]
            .depends_on
            .iter()
            .any(|(next, ..)| reaches(containers, *next, to))
}
