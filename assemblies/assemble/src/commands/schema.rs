//! `assemble schema`: prints the JSON Schemas that editors use.

use clap::{Args, ValueEnum};

use crate::ui::Ui;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Kind of file.
    #[arg(value_enum)]
    kind: FileKind,
}

/// The kinds of file with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileKind {
    /// `assemblies/*.yaml`.
    Assembly,
    /// `component.yaml`.
    Component,
    /// `bundle.yaml`.
    Bundle,
    /// `assemblies/rules.yaml` and `.assemble-rules.yaml`.
    Rules,
    /// `assemblies/prices.yaml`.
    Prices,
}

/// Prints the schema.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> u8 {
    ui.data(&match arguments.kind {
        FileKind::Assembly => assembly::schema::assembly(),
        FileKind::Component => assembly::schema::component(),
        FileKind::Bundle => assembly::schema::bundle(),
        FileKind::Rules => assembly::schema::rules(),
        FileKind::Prices => assembly::schema::prices(),
    });
    0
}
