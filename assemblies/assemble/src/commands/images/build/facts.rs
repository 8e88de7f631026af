//! What `component.yaml` says about the image of a component.

use assembly::component::ComponentFile;
use registry::program::WritableFolder;

/// The facts of an image besides its program.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) summary: Option<String>,
    pub(super) command: Vec<String>,
    pub(super) ports: Vec<u16>,
    pub(super) folders: Vec<WritableFolder>,
    /// The SPDX expression of everything in the image, if it is more than the package's.
    pub(super) licenses: Option<String>,
    /// The most compressed bytes.
    pub(super) budget: Option<u64>,
}

impl Facts {
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
            // The default of the component contract.
            command: command.unwrap_or_else(|| vec!["serve".to_owned()]),
            ports,
            folders: file.files.iter().map(|path| folder(path)).collect(),
            licenses: file.licenses.clone(),
            budget: file.image_budget.map(assembly::component::ByteSize::bytes),
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
