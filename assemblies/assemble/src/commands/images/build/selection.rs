//! Which components to build, and for which platforms.

use assembly::component::{ComponentFile, LocalProgram};
use assembly::manifest::{self, Architecture};
use assembly::{Catalog, component::Component, component::Local};
use diagnostics::nearest;

use super::Arguments;
use super::target::Target;
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// The components to build.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) components: Vec<Component>,
    pub(super) targets: Vec<Target>,
}

/// Selects the components of the arguments. Problems of all of them are reported together.
pub(super) fn select(
    arguments: &Arguments,
    project: &Project,
    ui: &Ui,
) -> Result<Selection, CliError> {
    let catalog = project.catalog()?;
    let mut targets = arguments.platforms.clone();

    let components = if let Some(assembly) = &arguments.assembly {
        let (names, target) = members(assembly, project)?;
        if targets.is_empty() {
            targets.push(target);
        }
        let (own, others) = partition(&catalog, &names)?;
        for component in others {
            ui.message(&format!("{}: skipped", third_party(component.file())));
        }
        own
    } else if arguments.components.is_empty() {
        let names: Vec<String> = catalog.names().map(str::to_owned).collect();
        partition(&catalog, &names)?.0
    } else {
        select_named(&catalog, &arguments.components)?
    };

    if components.is_empty() {
        return Err(CliError::Usage(
            "found no component with a program in this workspace; create one with `assemble new component NAME`, or \
             make an image of any static program with `--binary FILE --name NAME`"
                .to_owned(),
        ));
    }
    if targets.is_empty() {
        targets.push(Target::Amd64);
    }
    // The order of platforms in an index, and with it the digest, does not depend on the order of options.
    targets.sort_unstable();
    targets.dedup();

    Ok(Selection {
        components,
        targets,
    })
}

/// Returns the program of a component that this workspace builds.
pub(super) fn program(file: &ComponentFile) -> Option<&LocalProgram> {
    let program = file.local.as_ref().and_then(Local::program);
    program.filter(|_| file.container.is_none())
}

/// Returns the components of an assembly and its platform.
fn members(assembly: &str, project: &Project) -> Result<(Vec<String>, Target), CliError> {
    let values = project.values(&ValueArguments::default(), "example")?;
    let (manifest, findings) = manifest::read(&project.manifest(assembly)?, &values);
    let manifest = manifest.ok_or(CliError::Findings(findings))?;
    let file = manifest.file();

    let mut names = vec![file.app.clone()];
    for more in [&file.ingress, &file.sidecars, &file.init] {
        names.extend(more.iter().cloned());
    }
    let target = match file.size.architecture {
        Architecture::X86 => Target::Amd64,
        Architecture::Arm => Target::Arm64,
    };

    Ok((names, target))
}

/// Separates components with a program in this workspace from third-party ones.
fn partition(
    catalog: &Catalog,
    names: &[String],
) -> Result<(Vec<Component>, Vec<Component>), CliError> {
    let components = find(catalog, names)?;
    Ok(components
        .into_iter()
        .partition(|component| program(component.file()).is_some()))
}

/// Returns the components that were named on the command line, each of which must have a program.
fn select_named(catalog: &Catalog, names: &[String]) -> Result<Vec<Component>, CliError> {
    let (own, others) = partition(catalog, names)?;
    let others = others.iter().map(|component| {
        let reason = third_party(component.file());
        CliError::Usage(format!("{reason}: there is nothing to build"))
    });
    CliError::all(others.collect())?;
    Ok(own)
}

fn find(catalog: &Catalog, names: &[String]) -> Result<Vec<Component>, CliError> {
    let (mut components, mut findings, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let mut unique = names.to_vec();
    unique.sort();
    unique.dedup();

    for name in &unique {
        match catalog.component(name) {
            Some(Ok(component)) => components.push(component.clone()),
            Some(Err(invalid)) => findings.extend(invalid.to_vec()),
            None => failures.push(CliError::Usage(unknown(catalog, name))),
        }
    }

    if !findings.is_empty() {
        failures.push(CliError::Findings(findings));
    }
    CliError::all(failures)?;
    Ok(components)
}

fn unknown(catalog: &Catalog, name: &str) -> String {
    let hint = match nearest(name, catalog.names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`assemble images build` without a name builds all".to_owned(),
    };
    format!("there is no component `{name}`; {hint}")
}

fn third_party(file: &ComponentFile) -> String {
    format!(
        "`{}` has no program in this workspace, its image is {}",
        file.name, file.image
    )
}
