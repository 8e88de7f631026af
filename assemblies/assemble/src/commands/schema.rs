//! `assemble schema`: the JSON Schemas that editors use.

use clap::{Args, ValueEnum};

use crate::talk::Talk;

/// Of which file.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The kind of file.
    #[arg(value_enum)]
    of: Of,
}

/// The kinds of file that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// `assemblies/*.yaml`.
    Assembly,
    /// `component.yaml`.
    Component,
    /// `assemblies/rules.yaml` and `.assemble-rules.yaml`.
    Rules,
    /// `assemblies/prices.yaml`.
    Prices,
}

/// Prints the schema.
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> u8 {
    talk.data(&match arguments.of {
        Of::Assembly => assembly::schema::assembly(),
        Of::Component => assembly::schema::component(),
        Of::Rules => assembly::schema::rules(),
        Of::Prices => assembly::schema::prices(),
    });
    0
}
