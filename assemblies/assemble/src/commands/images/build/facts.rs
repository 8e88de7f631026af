//! What `component.yaml` and `bundle.yaml` say about an image.

use std::collections::BTreeSet;

use assembly::Catalog;
use assembly::component::{Bundle, ByteSize, ComponentFile};
use registry::program::WritableFolder;

use crate::error::CliError;

/// The facts of an image besides its program.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) summary: Option<String>,
    /// Further names of the program.
    pub(super) links: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) ports: Vec<u16>,
    pub(super) folders: Vec<WritableFolder>,
    /// The SPDX expression of everything in the image, if it is more than the package's.
    pub(super) licenses: Option<String>,
    /// The most compressed bytes.
    pub(super) budget: Option<u64>,
}

impl Facts {
    /// Returns the facts of the component or bundle of this name, if there is one. A third-party image has none.
    pub(super) fn find(catalog: &Catalog, name: &str) -> Result<Option<Self>, CliError> {
        if let Some(Ok(component)) = catalog.component(name) {
            let file = component.file();
            return Ok(file.container.is_none().then(|| Self::from_component(file)));
        }
        match catalog.bundle(name) {
            Some(Ok(bundle)) => Self::from_bundle(bundle, catalog).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the facts of a bundle: those of all its members, each of which is a name of the program.
    ///
    /// There is no default command: the first argument says which member runs.
    pub(super) fn from_bundle(bundle: &Bundle, catalog: &Catalog) -> Result<Self, CliError> {
        let file = bundle.file();
        let (mut ports, mut folders) = (BTreeSet::new(), BTreeSet::new());
        let mut findings = Vec::new();
        for member in &file.members {
            match catalog.component(member) {
                Some(Ok(component)) => {
                    let file = component.file();
                    ports.extend(file.provides.values().map(|provided| provided.port));
                    folders.extend(file.files.iter());
                }
                Some(Err(invalid)) => findings.extend_from_slice(invalid),
                // A bundle with an unknown member is not read.
                None => {}
            }
        }

        if !findings.is_empty() {
            return Err(CliError::Findings(findings));
        }
        Ok(Self {
            summary: Some(file.summary.clone()),
            links: file.members.clone(),
            command: Vec::new(),
            ports: ports.into_iter().collect(),
            folders: folders.into_iter().map(|path| folder(path)).collect(),
            licenses: None,
            budget: file.image_budget.map(ByteSize::bytes),
        })
    }

    /// Returns the facts of a component.
    pub(super) fn from_component(file: &ComponentFile) -> Self {
        let commands = &file.commands;
        let command = commands
            .service
            .clone()
            .or_else(|| commands.on_demand.clone());
        let mut ports: Vec<u16> = file
            .provides
            .values()
            .map(|provided| provided.port)
            .collect();
        // Two interfaces may share a port.
        ports.sort_unstable();
        ports.dedup();

        Self {
            summary: Some(file.summary.clone()),
            links: Vec::new(),
            // The default of the component contract.
            command: command.unwrap_or_else(|| vec!["serve".to_owned()]),
            ports,
            folders: file.files.iter().map(|path| folder(path)).collect(),
            licenses: file.licenses.clone(),
            budget: file.image_budget.map(ByteSize::bytes),
        }
    }
}

/// Returns a writable folder. `/tmp` has the mode that programs expect of it, others belong to the image's user alone.
pub(super) fn folder(path: &str) -> WritableFolder {
    WritableFolder {
        path: path.to_owned(),
        mode: if path == "/tmp" { 0o1777 } else { 0o755 },
    }
}
