//! Builds the images of components of the workspace.

use std::path::Path;

use assembly::component::Component;
use registry::program::ProgramImage;

use super::compile::{Compiled, compile};
use super::facts::Facts;
use super::metadata::{Package, Workspace};
use super::output::{BuiltImage, write};
use super::prepare::{Prepared, prepare};
use super::selection::{Selection, program};
use super::target::{Target, Toolchain};
use super::{Settings, certificates, git, licenses, source_date};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Compiles every component and writes its image.
pub(super) fn build(
    selection: &Selection,
    settings: &Settings,
    project: &Project,
    ui: &Ui,
) -> Result<Vec<Result<BuiltImage, CliError>>, CliError> {
    let toolchain = Toolchain::read(project.root())?;
    let checks = selection.targets.iter();
    let checks = checks.filter_map(|target| toolchain.check(*target).err());
    CliError::all(checks.collect())?;

    let builder = Builder {
        workspace: Workspace::read(project.root(), &selection.targets)?,
        root: project.root(),
        toolchain,
        settings,
        ui,
    };
    let components = selection.components.iter();
    Ok(components
        .map(|component| builder.image(component, &selection.targets))
        .collect())
}

struct Builder<'s> {
    workspace: Workspace,
    /// The folder that names of sources are relative to.
    root: &'s Path,
    toolchain: Toolchain,
    settings: &'s Settings,
    ui: &'s Ui,
}

impl Builder<'_> {
    fn image(&self, component: &Component, targets: &[Target]) -> Result<BuiltImage, CliError> {
        let file = component.file();
        let binary = program(file).map_or(file.name.as_str(), |program| &program.binary);
        let Some(package) = self.workspace.member_with_binary(binary) else {
            return Err(CliError::Usage(format!(
                "`{}` names the program `{binary}`, but no package of `{}` has a binary of that name; correct \
                 `local.binary` in its component.yaml, or use `--binary`",
                file.name,
                self.workspace.workspace_root.display()
            )));
        };

        let facts = Facts::from_component(file);
        let (mut drafts, mut programs) = (Vec::new(), Vec::new());
        for target in targets {
            self.ui
                .message(&format!("building {} for {}", file.name, target.platform()));
            let prepared = prepare(component, self.root, *target)?;
            let from = (&self.toolchain, *target);
            let compiled = compile(&self.workspace, (package, binary), from, &prepared, self.ui)?;
            programs.push(compiled.program.size());

            let image = self.program_image((&file.name, &facts), package, compiled, prepared)?;
            let draft = image.draft(self.settings.compression);
            drafts.push(draft.map_err(|error| super::output::failure(&file.name, &error))?);
        }

        let reference = &package.version;
        let written = write(self.settings, &file.name, reference, drafts, self.ui)?;
        Ok(written.with_programs(&programs, facts.budget))
    }

    fn program_image(
        &self,
        (name, facts): (&str, &Facts),
        package: &Package,
        compiled: Compiled<'_>,
        prepared: Prepared,
    ) -> Result<ProgramImage, CliError> {
        let more = prepared.licenses;
        let files = licenses::files(&self.workspace, &compiled.linked, &self.toolchain, more);
        let mut files = files.map_err(|file| {
            CliError::Usage(format!(
                "the licence texts that `build.prepare` of `{name}` names include `{file}`, which is a file of the \
                 image already; rename it"
            ))
        })?;
        if certificates::are_needed(&compiled.linked) {
            files.insert(certificates::PATH.to_owned(), certificates::pem());
        }

        Ok(ProgramImage {
            name: name.to_owned(),
            program: compiled.program,
            command: facts.command.clone(),
            environment: Vec::new(),
            ports: facts.ports.clone(),
            folders: facts.folders.clone(),
            files,
            labels: self.labels(name, facts, package, &compiled.linked),
            modified: self.settings.source_date.unwrap_or_default(),
            created: self.settings.source_date.map(source_date::rfc3339),
        })
    }

    /// Returns the labels of the OCI image specification (annotations.md) that are known; the user's come last.
    fn labels(
        &self,
        name: &str,
        facts: &Facts,
        package: &Package,
        linked: &[&Package],
    ) -> std::collections::BTreeMap<String, String> {
        let folders = linked
            .iter()
            .filter(|package| package.source.is_none())
            .map(|package| package.folder());
        let known = [
            ("title", Some(name.to_owned())),
            ("description", facts.summary.clone()),
            ("version", Some(package.version.clone())),
            (
                "licenses",
                facts.licenses.clone().or_else(|| package.license.clone()),
            ),
            ("source", package.repository.clone()),
            (
                "revision",
                git::revision(&self.workspace.workspace_root, folders),
            ),
        ];

        let known = known.into_iter().filter_map(|(label, value)| {
            Some((format!("org.opencontainers.image.{label}"), value?))
        });
        known.chain(self.settings.labels.clone()).collect()
    }
}
