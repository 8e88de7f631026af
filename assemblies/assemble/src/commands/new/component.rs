//! Creates a component: a crate of this workspace, or a description of a third-party image.

use std::collections::BTreeSet;
use std::path::PathBuf;

use assembly::Catalog;
use assembly::component::Component;
use clap::{Args, ValueEnum};

use super::{Starter, check_name, fill_template, write};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `new component`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the directory, package, binary and container.
    name: String,
    /// Role in a task.
    #[arg(long, value_enum, default_value = "app")]
    kind: Kind,
    /// Third-party image: create no crate, only `assemblies/components/NAME/component.yaml`.
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
}

/// A component's role in a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The component the task exists for.
    App,
    /// A hop in front of the app.
    Proxy,
    /// A component next to the app.
    Sidecar,
    /// Runs to completion before the app starts.
    Init,
}

pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let name = &arguments.name;
    check_name(name)?;
    let catalog = project.catalog()?;
    if catalog.component(name).is_some() {
        return Err(CliError::Usage(format!(
            "component `{name}` already exists and nothing was written; choose another name"
        )));
    }

    let ports = Ports::free(&catalog);
    let (starters, next) = match &arguments.image {
        Some(image) => describe_image(arguments, image, &ports),
        None => create_crate(arguments, &ports, project)?,
    };

    // A template that is not a valid component is reported before anything is written.
    for starter in starters
        .iter()
        .filter(|starter| starter.path.ends_with("component.yaml"))
    {
        let source =
            diagnostics::source::Source::new(starter.path.display().to_string(), &starter.text);
        Component::read(&source).map_err(CliError::Findings)?;
    }

    write(&starters, project, ui)?;
    ui.message(&format!("next: {next}"));
    Ok(0)
}

/// Ports that no other component uses, so that none has to be reassigned in a task.
struct Ports {
    listen: u16,
    admin: u16,
}

impl Ports {
    fn free(catalog: &Catalog) -> Self {
        let mut taken = BTreeSet::new();
        let components = catalog
            .names()
            .filter_map(|name| catalog.component(name)?.ok());

        for component in components {
            let file = component.file();
            taken.extend(file.provides.values().map(|provided| provided.port));
            taken.extend(file.admin.iter().map(|admin| admin.port));
        }

        let free = |from: u16| {
            (from..=u16::MAX)
                .find(|port| !taken.contains(port))
                .unwrap_or(from)
        };

        Self {
            listen: free(8080),
            admin: free(9901),
        }
    }
}

/// Creates the description of an image.
fn describe_image(arguments: &Arguments, image: &str, ports: &Ports) -> (Vec<Starter>, String) {
    let name = &arguments.name;
    let template = match arguments.kind {
        Kind::App | Kind::Sidecar => include_str!("templates/image-app.yaml"),
        Kind::Proxy => include_str!("templates/image-proxy.yaml"),
        Kind::Init => include_str!("templates/image-init.yaml"),
    };

    let text = fill_template(
        template,
        &[
            ("name", name),
            ("kind", kind(arguments.kind)),
            ("interface", interface(arguments)),
            // A JSON string, since a reference may contain characters that YAML interprets.
            ("image", &serde_json::json!(image).to_string()),
            ("port", &ports.listen.to_string()),
        ],
    );

    let path = format!("assemblies/components/{name}/component.yaml");
    let next = format!(
        "edit {path}: declare the settings that the image reads{}",
        usage_hint(arguments)
    );

    (vec![Starter::new(path, text)], next)
}

/// Creates a crate with all files of a component.
fn create_crate(
    arguments: &Arguments,
    ports: &Ports,
    project: &Project,
) -> Result<(Vec<Starter>, String), CliError> {
    if !project.root().join("sidecars/chassis/Cargo.toml").is_file() {
        return Err(CliError::Usage(
            "a component crate needs `sidecars/chassis`, which is not in this project; \
             describe an image instead: --image REFERENCE"
                .to_owned(),
        ));
    }

    let name = &arguments.name;
    let parent = if arguments.kind == Kind::App {
        "apps"
    } else {
        "sidecars"
    };

    let folder = PathBuf::from(parent).join(name);
    let snake = name.replace('-', "_");
    let pascal: String = name.split('-').map(capitalize).collect();
    let (listen, admin) = (ports.listen.to_string(), ports.admin.to_string());
    let replacements = [
        ("name", name.as_str()),
        ("kind", kind(arguments.kind)),
        ("interface", interface(arguments)),
        ("snake", &snake),
        ("Type", &pascal),
        ("port", &listen),
        ("admin", &admin),
    ];

    let (package, library, description) = templates(arguments.kind);
    let files = [
        ("Cargo.toml", package),
        ("src/lib.rs", library),
        ("src/main.rs", include_str!("templates/crate-main.rs.txt")),
        ("component.yaml", description),
        ("README.md", include_str!("templates/crate-readme.md")),
    ];

    let starters = files
        .map(|(path, text)| Starter::new(folder.join(path), fill_template(text, &replacements)));
    let next = format!(
        "cargo build -p {name}; target/debug/{name} describe{}",
        usage_hint(arguments)
    );

    Ok((starters.into(), next))
}

/// Returns the templates of `Cargo.toml`, `src/lib.rs` and `component.yaml`.
fn templates(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::App | Kind::Sidecar => (
            include_str!("templates/crate-app.toml"),
            include_str!("templates/crate-app.rs.txt"),
            include_str!("templates/crate-app.yaml"),
        ),
        Kind::Proxy => (
            include_str!("templates/crate-app.toml"),
            include_str!("templates/crate-proxy.rs.txt"),
            include_str!("templates/crate-proxy.yaml"),
        ),
        Kind::Init => (
            include_str!("templates/crate-init.toml"),
            include_str!("templates/crate-init.rs.txt"),
            include_str!("templates/crate-init.yaml"),
        ),
    }
}

/// Returns how to add the new component to an assembly.
fn usage_hint(arguments: &Arguments) -> String {
    let name = &arguments.name;
    match arguments.kind {
        Kind::App => format!("; assemble new assembly my-{name} --app {name}"),
        Kind::Proxy => format!("; add `ingress: [{name}]` to an assembly"),
        Kind::Sidecar => format!("; add `sidecars: [{name}]` to an assembly"),
        Kind::Init => format!("; add `init: [{name}]` to an assembly"),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "app",
        Kind::Proxy => "proxy",
        Kind::Sidecar => "sidecar",
        Kind::Init => "init",
    }
}

/// Returns the interface a component provides. A sidecar's is its own name, so that it is never taken for the app.
fn interface(arguments: &Arguments) -> &str {
    match arguments.kind {
        Kind::Sidecar => &arguments.name,
        _ => "http",
    }
}

fn capitalize(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
