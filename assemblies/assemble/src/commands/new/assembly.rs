//! Creates a manifest: the app, its other components and the settings they require.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use assembly::component::{Component, Kind};
use assembly::{Catalog, plan_under};
use clap::Args;

use super::{Starter, check_name, write};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::rule_config::{RuleArguments, RuleConfigLoader};
use crate::ui::Ui;

/// Arguments of `new assembly`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the file, the family and the roles.
    name: String,
    /// Component to use as the app [default: the first app without required settings].
    #[arg(long, value_name = "COMPONENT")]
    app: Option<String>,
    /// Proxy in front of the app; the first one is the outermost.
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',')]
    ingress: Vec<String>,
    /// Component next to the app.
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',')]
    sidecar: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let name = &arguments.name;
    check_name(name)?;
    let catalog = project.catalog()?;
    let app = match &arguments.app {
        Some(app) => app.clone(),
        None => first_app(&catalog)?,
    };

    let names = [
        &arguments.ingress[..],
        std::slice::from_ref(&app),
        &arguments.sidecar,
    ];
    let components: Vec<&Component> = names
        .into_iter()
        .flatten()
        .map(|name| component(&catalog, name))
        .collect::<Result<_, _>>()?;
    let required = RequiredSettings::new(&components);

    let mut starters = vec![Starter::new(
        format!("assemblies/{name}.yaml"),
        manifest(arguments, &app, &required, project, &catalog),
    )];

    // The values file is shared by all assemblies, so an existing one is kept.
    if !project.root().join(VALUES_FILE).is_file() {
        starters.push(Starter::new(VALUES_FILE, VALUES));
    }
    write(&starters, project, ui)?;
    for setting in &required.names {
        ui.message(&format!("fill in `{setting}` in assemblies/{name}.yaml"));
    }

    ui.message(&format!(
        "next: assemble check assemblies/{name}.yaml; assemble render {name}; assemble up {name}"
    ));
    check(name, &catalog, project, ui)
}

/// Checks the new assembly at once, so that findings appear here and not in the next command.
fn check(name: &str, catalog: &Catalog, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let path = project.manifest_path(name);
    let levels = RuleConfigLoader::new(&RuleArguments::default(), project)?.for_file(&path)?;
    let values = project.values(&ValueArguments::default(), "example")?;
    match plan_under(&project.source(&path)?, catalog, &values, &levels) {
        Ok(_) => Ok(0),
        Err(outcome) => {
            ui.message("it needs your decisions:");
            Err(CliError::Findings(outcome.findings))
        }
    }
}

fn component<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Component, CliError> {
    match catalog.component(name) {
        Some(Ok(component)) => Ok(component),
        Some(Err(findings)) => Err(CliError::Findings(findings.to_vec())),
        None => {
            let suggestion = diagnostics::nearest(name, catalog.names())
                .map(|meant| format!("did you mean `{meant}`? "));
            let all: Vec<&str> = catalog.names().collect();
            Err(CliError::Usage(format!(
                "unknown component `{name}`; {}known components: {}",
                suggestion.unwrap_or_default(),
                all.join(", ")
            )))
        }
    }
}

fn first_app(catalog: &Catalog) -> Result<String, CliError> {
    // Required settings would make the new assembly fail `check`.
    let candidates = catalog.names().filter(|name| {
        let Some(Ok(component)) = catalog.component(name) else {
            return false;
        };
        let file = component.file();
        let needs = file
            .requires
            .values()
            .any(|requirement| !requirement.optional)
            || file.settings.values().any(|setting| setting.required);
        file.kind == Kind::App && !needs
    });

    candidates.map(str::to_owned).next().ok_or_else(|| {
        CliError::Usage(
            "no app works without required settings; choose one with --app, or create one: \
             assemble new component NAME --kind app"
                .to_owned(),
        )
    })
}

/// Settings without a default, which the user has to fill in.
#[derive(Default)]
struct RequiredSettings {
    settings: BTreeMap<String, BTreeMap<String, String>>,
    secrets: BTreeMap<String, BTreeMap<String, String>>,
    names: Vec<String>,
}

impl RequiredSettings {
    fn new(components: &[&Component]) -> Self {
        let mut required = Self::default();
        for component in components {
            let file = component.file();
            // Wiring derives these, for example the upstream address.
            let is_wired = |name: &str| {
                file.requires
                    .values()
                    .any(|requirement| requirement.setting == name)
            };
            let missing = file
                .settings
                .iter()
                .filter(|(name, setting)| setting.required && !is_wired(name));

            for (setting, declared) in missing {
                let list = if declared.secret {
                    "secrets"
                } else {
                    "settings"
                };

                required
                    .names
                    .push(format!("{list}.{}.{setting}", file.name));
                let (map, value) = if declared.secret {
                    (
                        &mut required.secrets,
                        format!("{SECRET_ARN}{}-{setting}-AbCdEf", file.name),
                    )
                } else {
                    let local_value = file.local.as_ref().and_then(|local| local.program());
                    let local_value = local_value.and_then(|local| local.alone.get(setting));
                    (
                        &mut required.settings,
                        local_value
                            .cloned()
                            .unwrap_or_else(|| "FILL-ME-IN".to_owned()),
                    )
                };

                map.entry(file.name.clone())
                    .or_default()
                    .insert(setting.clone(), value);
            }
        }

        required
    }
}

fn manifest(
    arguments: &Arguments,
    app: &str,
    required: &RequiredSettings,
    project: &Project,
    catalog: &Catalog,
) -> String {
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
        &format!(
            "[{}] # proxies in front of the app, outermost first",
            example(catalog, Kind::Proxy)
        ),
    );

    list(
        &mut text,
        "sidecars",
        &arguments.sidecar,
        &format!(
            "[{}] # helpers beside the app",
            example(catalog, Kind::Sidecar)
        ),
    );

    map(&mut text, "settings", &required.settings);
    map(&mut text, "secrets", &required.secrets);
    text + SERVICE
}

/// Returns a component of the catalog of this kind, as an example; one of the project rather than a third party's.
fn example(catalog: &Catalog, kind: Kind) -> &str {
    let components = catalog
        .names()
        .filter_map(|name| catalog.component(name)?.ok());
    let candidates = components.filter(|component| component.file().kind == kind);
    // The outermost proxy is usually the one that clients reach over TLS.
    let best = candidates.min_by_key(|component| {
        let file = component.file();
        (
            file.container.is_some(),
            !file.provides.contains_key("https"),
        )
    });

    best.map_or("my-component", Component::name)
}

/// Writes the chosen components, or a comment that shows the syntax.
fn list(text: &mut String, word: &str, names: &[String], example: &str) {
    let _ = if names.is_empty() {
        writeln!(text, "# {word}: {example}")
    } else {
        writeln!(text, "{word}: [{}]", names.join(", "))
    };
}

fn map(
    text: &mut String,
    word: &str,
    settings_by_component: &BTreeMap<String, BTreeMap<String, String>>,
) {
    if settings_by_component.is_empty() {
        return;
    }

    let _ = write!(text, "\n{word}:\n");
    for (component, settings) in settings_by_component {
        let _ = writeln!(text, "  {component}:");
        for (setting, value) in settings {
            // A JSON string is a YAML string.
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

const SECRET_ARN: &str = "arn:aws:secretsmanager:${region}:${account}:secret:";
const VALUES_FILE: &str = "assemblies/values/example.yaml";
const VALUES: &str = "\
# What fills the ${...} of assemblies and components; --values NAME chooses another file of this folder.
account: \"111122223333\"
region: eu-central-1
registry: 111122223333.dkr.ecr.eu-central-1.amazonaws.com
version: \"0.1.0\"
";
