//! Builds the images of components and bundles of the workspace.

use std::path::Path;

use registry::program::ProgramImage;

use super::compile::{Compiled, compile};
use super::existing::check_folder;
use super::metadata::{Package, Workspace};
use super::output::{BuiltImage, Variant, failure, write};
use super::prepare::{Prepared, prepare};
use super::sbom::Inventory;
use super::selection::{Buildable, Selection};
use super::target::{Target, Toolchain};
use super::{Settings, certificates, git, licenses, source_date};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

// The programs are linked with glibc. Each large block it frees raises the size from which blocks are returned to the
// kernel, up to 32 MiB, unless the threshold is set (mallopt(3), M_MMAP_THRESHOLD); the process then keeps what one burst
// of requests needed.
const MALLOC_THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_=131072";

/// Compiles every program and writes its image.
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
    // Before programs are compiled, which takes minutes.
    let checks = selection.images.iter();
    let checks = checks.filter_map(|image| check_folder(settings, &image.name).err());
    CliError::all(checks.collect())?;

    let builder = Builder {
        workspace: Workspace::read(project.root(), &selection.targets)?,
        root: project.root(),
        toolchain,
        settings,
        ui,
    };
    let images = selection.images.iter();
    Ok(images
        .map(|image| builder.image(image, &selection.targets))
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
    fn image(&self, wanted: &Buildable, targets: &[Target]) -> Result<BuiltImage, CliError> {
        let Buildable { name, binary, .. } = wanted;
        let Some(package) = self.workspace.member_with_binary(binary) else {
            return Err(CliError::Usage(format!(
                "`{name}` names the program `{binary}`, but no package of `{}` has a binary of that name; correct \
                 {}, or use `--binary`",
                self.workspace.workspace_root.display(),
                wanted.declared_by
            )));
        };

        let (mut variants, mut programs) = (Vec::new(), Vec::new());
        let created = self.settings.source_date.map(source_date::rfc3339);
        let inventory = Inventory::read(&self.workspace, &self.toolchain, created);
        for target in targets {
            self.ui
                .message(&format!("building {name} for {}", target.platform()));
            let prepared = prepare(&wanted.components, self.root, *target)?;
            let from = (&self.toolchain, *target);
            let compiled = compile(&self.workspace, (package, binary), from, &prepared, self.ui)?;
            programs.push(compiled.program.size());

            let sbom = inventory.document(name, package, &compiled, *target);
            let image = self.program_image(wanted, package, compiled, prepared)?;
            let draft = image.draft(self.settings.compression);
            let draft = draft.map_err(|error| failure(name, &error))?;
            variants.push(Variant { draft, sbom });
        }

        let reference = &package.version;
        let written = write(self.settings, name, reference, variants, self.ui)?;
        Ok(written.with_programs(&programs, wanted.facts.budget))
    }

    fn program_image(
        &self,
        wanted: &Buildable,
        package: &Package,
        compiled: Compiled<'_>,
        prepared: Prepared,
    ) -> Result<ProgramImage, CliError> {
        let (name, facts) = (&wanted.name, &wanted.facts);
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
            name: name.clone(),
            program: compiled.program,
            links: facts.links.clone(),
            command: facts.command.clone(),
            environment: vec![MALLOC_THRESHOLD.to_owned()],
            ports: facts.ports.clone(),
            folders: facts.folders.clone(),
            files,
            labels: self.labels(wanted, package, &compiled.linked),
            modified: self.settings.source_date.unwrap_or_default(),
            created: self.settings.source_date.map(source_date::rfc3339),
        })
    }

    /// Returns the labels of the OCI image specification (annotations.md) that are known; the user's come last.
    fn labels(
        &self,
        wanted: &Buildable,
        package: &Package,
        linked: &[&Package],
    ) -> std::collections::BTreeMap<String, String> {
        let folders = linked
            .iter()
            .filter(|package| package.source.is_none())
            .map(|package| package.folder());
        let known = [
            ("title", Some(wanted.name.clone())),
            ("description", wanted.facts.summary.clone()),
            ("version", Some(package.version.clone())),
            (
                "licenses",
                wanted
                    .facts
                    .licenses
                    .clone()
                    .or_else(|| package.license.clone()),
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
