//! A starter of a component: a crate of this workspace, or the description of somebody's image.

use std::collections::BTreeSet;
use std::path::PathBuf;

use assembly::Catalog;
use assembly::component::Component;
use clap::{Args, ValueEnum};

use super::{Starter, check_name, filled, write};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What kind of component.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name: folder, package, binary and container.
    name: String,
    /// Where in a task it can stand.
    #[arg(long, value_enum, default_value = "app")]
    kind: Kind,
    /// Somebody's image: nothing is programmed, `assemblies/components/NAME/component.yaml` describes it.
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
}

/// Where in a task a component can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// What a task exists for.
    App,
    /// A hop in front of the app.
    Proxy,
    /// A helper beside the app.
    Sidecar,
    /// Runs to its end before the app starts.
    Init,
}

pub(super) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let name = &arguments.name;
    check_name(name)?;
    let catalog = project.catalog()?;
    if catalog.component(name).is_some() {
        return Err(Failure::Usage(format!(
            "there is a component `{name}` already, and nothing was written; choose another name"
        )));
    }

    let ports = Ports::free(&catalog);
    let (starters, next) = match &arguments.image {
        Some(image) => described(arguments, image, &ports),
        None => programmed(arguments, &ports, project)?,
    };

    for starter in starters
        .iter()
        .filter(|one| one.path.ends_with("component.yaml"))
    {
        let source =
            task_definition::source::Source::new(starter.path.display().to_string(), &starter.text);
        Component::read(&source).map_err(Failure::Findings)?;
    }

    write(&starters, project, talk)?;
    talk.say(&format!("next: {next}"));
    Ok(0)
}

/// Ports that no component has, so that nobody has to move in a task.
struct Ports {
    listen: u16,
    admin: u16,
}

impl Ports {
    fn free(catalog: &Catalog) -> Self {
        let mut taken = BTreeSet::new();
        let good = catalog
            .names()
            .filter_map(|name| catalog.component(name)?.ok());

        for component in good {
            let file = component.file();
            taken.extend(file.provides.values().map(|one| one.port));
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

/// The description of an image.
fn described(arguments: &Arguments, image: &str, ports: &Ports) -> (Vec<Starter>, String) {
    let name = &arguments.name;
    let template = match arguments.kind {
        Kind::App | Kind::Sidecar => include_str!("templates/image-app.yaml"),
        Kind::Proxy => include_str!("templates/image-proxy.yaml"),
        Kind::Init => include_str!("templates/image-init.yaml"),
    };

    let text = filled(
        template,
        &[
            ("name", name),
            ("kind", kind(arguments.kind)),
            ("interface", interface(arguments)),
            ("image", &serde_json::json!(image).to_string()),
            ("port", &ports.listen.to_string()),
        ],
    );

    let path = format!("assemblies/components/{name}/component.yaml");
    let next = format!(
        "read {path} and say how the image is told what it needs{}",
        stand(arguments)
    );

    (vec![Starter::new(path, text)], next)
}

/// A crate with everything a component has.
fn programmed(
    arguments: &Arguments,
    ports: &Ports,
    project: &Project,
) -> Result<(Vec<Starter>, String), Failure> {
    if !project.root().join("sidecars/chassis/Cargo.toml").is_file() {
        return Err(Failure::Usage(
            "a component in Rust is a crate beside `sidecars/chassis`, which is not here; \
             describe an image instead: --image REFERENCE"
                .to_owned(),
        ));
    }

    let name = &arguments.name;
    let half = if arguments.kind == Kind::App {
        "apps"
    } else {
        "sidecars"
    };

    let folder = PathBuf::from(half).join(name);
    let snake = name.replace('-', "_");
    let pascal: String = name.split('-').map(capitalised).collect();
    let (listen, admin) = (ports.listen.to_string(), ports.admin.to_string());
    let words = [
        ("name", name.as_str()),
        ("kind", kind(arguments.kind)),
        ("interface", interface(arguments)),
        ("snake", &snake),
        ("Type", &pascal),
        ("port", &listen),
        ("admin", &admin),
    ];

    let (package, library, description) = match arguments.kind {
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
    };

    let files = [
        ("Cargo.toml", package),
        ("src/lib.rs", library),
        ("src/main.rs", include_str!("templates/crate-main.rs.txt")),
        ("component.yaml", description),
        ("README.md", include_str!("templates/crate-readme.md")),
    ];

    let starters = files.map(|(path, text)| Starter::new(folder.join(path), filled(text, &words)));
    let next = format!(
        "cargo build -p {name}; target/debug/{name} describe{}",
        stand(arguments)
    );

    Ok((starters.into(), next))
}

/// How the new component gets into a task.
fn stand(arguments: &Arguments) -> String {
    let name = &arguments.name;
    match arguments.kind {
        Kind::App => format!("; assemble new assembly my-{name} --app {name}"),
        Kind::Proxy => format!("; write `ingress: [{name}]` into an assembly"),
        Kind::Sidecar => format!("; write `sidecars: [{name}]` into an assembly"),
        Kind::Init => format!("; write `init: [{name}]` into an assembly"),
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

/// A sidecar offers something of its own, so that it is never taken for the app.
fn interface(arguments: &Arguments) -> &str {
    match arguments.kind {
        Kind::Sidecar => &arguments.name,
        _ => "http",
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
