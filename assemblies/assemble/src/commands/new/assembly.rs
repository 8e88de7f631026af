//! A starter of a manifest: the app, and what its components must be told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use assembly::component::{Component, Kind};
use assembly::{Catalog, plan_under};
use clap::Args;

use super::{Starter, check_name, write};
use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::judging::{Judging, RuleArguments};
use crate::project::Project;
use crate::talk::Talk;

/// What stands in it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name: the file's, the family's and the roles'.
    name: String,
    /// The component it exists for; the first app that needs nothing when left out.
    #[arg(long, value_name = "COMPONENT")]
    app: Option<String>,
    /// A proxy in front of it; the outermost is named first.
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',')]
    ingress: Vec<String>,
    /// A component beside it.
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',')]
    sidecar: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let name = &arguments.name;
    check_name(name)?;
    let catalog = project.catalog()?;
    let app = match &arguments.app {
        Some(app) => app.clone(),
        None => first_app(&catalog)?,
    };

    let members = [
        &arguments.ingress[..],
        std::slice::from_ref(&app),
        &arguments.sidecar,
    ];
    let members: Vec<&Component> = members
        .into_iter()
        .flatten()
        .map(|name| component(&catalog, name))
        .collect::<Result<_, _>>()?;
    let open = Open::of(&members);

    let mut starters = vec![Starter::new(
        format!("assemblies/{name}.yaml"),
        manifest(arguments, &app, &open, project),
    )];

    if !project.root().join(VALUES_FILE).is_file() {
        starters.push(Starter::new(VALUES_FILE, VALUES));
    }
    write(&starters, project, talk)?;
    for one in &open.names {
        talk.say(&format!("fill in `{one}` in assemblies/{name}.yaml"));
    }

    talk.say(&format!(
        "next: assemble check assemblies/{name}.yaml; assemble render {name}; assemble up {name}"
    ));
    judge(name, &catalog, project, talk)
}

/// The starter is checked at once: whoever made it should not be the one who finds out.
fn judge(name: &str, catalog: &Catalog, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let path = project.manifest_path(name);
    let judgement = Judging::new(&RuleArguments::default(), project)?.of(&path)?;
    let values = project.values(&ValueArguments::default(), "example")?;
    match plan_under(&project.source(&path)?, catalog, &values, &judgement) {
        Ok(_) => Ok(0),
        Err(judged) => {
            talk.say("some of it is for you to decide:");
            Err(Failure::Findings(judged.findings))
        }
    }
}

fn component<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Component, Failure> {
    match catalog.component(name) {
        Some(Ok(component)) => Ok(component),
        Some(Err(findings)) => Err(Failure::Findings(findings.to_vec())),
        None => {
            let meant = task_definition::nearest(name, catalog.names());
            let meant = meant.map(|meant| format!("did you mean `{meant}`? "));
            let all: Vec<&str> = catalog.names().collect();
            Err(Failure::Usage(format!(
                "there is no component `{name}`; {}there are: {}",
                meant.unwrap_or_default(),
                all.join(", ")
            )))
        }
    }
}

fn first_app(catalog: &Catalog) -> Result<String, Failure> {
    let good = catalog.names().filter(|name| {
        let Some(Ok(component)) = catalog.component(name) else {
            return false;
        };
        let file = component.file();
        let needs = file.requires.values().any(|one| !one.optional)
            || file.settings.values().any(|setting| setting.required);
        file.kind == Kind::App && !needs
    });

    good.map(str::to_owned).next().ok_or_else(|| {
        Failure::Usage(
            "there is no app that could stand alone; name one with --app, or make one: \
             assemble new component NAME --kind app"
                .to_owned(),
        )
    })
}

/// What has to be told to the components and nobody can guess.
#[derive(Default)]
struct Open {
    settings: BTreeMap<String, BTreeMap<String, String>>,
    secrets: BTreeMap<String, BTreeMap<String, String>>,
    names: Vec<String>,
}

impl Open {
    fn of(members: &[&Component]) -> Self {
        let mut open = Self::default();
        for component in members {
            let file = component.file();
            let wired = |name: &str| file.requires.values().any(|one| one.setting == name);
            let required = file.settings.iter();
            let required = required.filter(|(name, one)| one.required && !wired(name));

            for (setting, declared) in required {
                let list = if declared.secret {
                    "secrets"
                } else {
                    "settings"
                };

                open.names.push(format!("{list}.{}.{setting}", file.name));
                let (map, value) = if declared.secret {
                    (
                        &mut open.secrets,
                        format!("{SECRET}{}-{setting}-AbCdEf", file.name),
                    )
                } else {
                    let alone = file.local.as_ref().and_then(|local| local.program());
                    let alone = alone.and_then(|local| local.alone.get(setting));
                    (
                        &mut open.settings,
                        alone.cloned().unwrap_or_else(|| "FILL-ME-IN".to_owned()),
                    )
                };

                map.entry(file.name.clone())
                    .or_default()
                    .insert(setting.clone(), value);
            }
        }

        open
    }
}

fn manifest(arguments: &Arguments, app: &str, open: &Open, project: &Project) -> String {
    let mut text = String::new();
    if project
        .root()
        .join("assemblies/schema/assembly.json")
        .is_file()
    {
        text += "# yaml-language-server: $schema=schema/assembly.json\n";
    }

    let name = &arguments.name;
    let _ = write!(
        text,
        "name: {name}\nsummary: What it does, in one line\napp: {app}\n"
    );

    list(
        &mut text,
        "ingress",
        &arguments.ingress,
        "[tls-proxy] # proxies in front of the app, outermost first",
    );

    list(
        &mut text,
        "sidecars",
        &arguments.sidecar,
        "[telemetry-forwarder] # helpers beside the app",
    );

    map(&mut text, "settings", &open.settings);
    map(&mut text, "secrets", &open.secrets);
    text + SERVICE
}

/// What is wanted, or a comment that shows how to say it.
fn list(text: &mut String, word: &str, names: &[String], example: &str) {
    let _ = if names.is_empty() {
        writeln!(text, "# {word}: {example}")
    } else {
        writeln!(text, "{word}: [{}]", names.join(", "))
    };
}

fn map(text: &mut String, word: &str, of: &BTreeMap<String, BTreeMap<String, String>>) {
    if of.is_empty() {
        return;
    }

    let _ = write!(text, "\n{word}:\n");
    for (component, settings) in of {
        let _ = writeln!(text, "  {component}:");
        for (setting, value) in settings {
            // JSON's quotes are YAML's.
            let _ = writeln!(
                text,
                "    {setting}: {} # fill in",
                serde_json::json!(value)
            );
        }
    }
}

const SERVICE: &str = "
service: # for a task that ends by itself: on_demand: { bucket: my-bucket }
  min: 1
  max: 1 # more than min needs a target: { cpu: 60 }
";

const SECRET: &str = "arn:aws:secretsmanager:${region}:${account}:secret:";
const VALUES_FILE: &str = "assemblies/values/example.yaml";
const VALUES: &str = "\
# What fills the ${...} of assemblies and components; --values NAME chooses another file of this folder.
account: \"111122223333\"
region: eu-central-1
registry: 111122223333.dkr.ecr.eu-central-1.amazonaws.com
version: \"0.1.0\"
";
