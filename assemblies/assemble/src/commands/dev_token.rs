//! `assemble dev-token`: prints a token that components accept under `up`, and only there.

use std::time::{Duration, SystemTime};

use assembly::component::Catalog;
use local::DevKeys;
use serde_json::json;

use crate::arguments::{ValueArguments, parse_duration};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `dev-token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Audience claim [default: that of the project's component that checks tokens, or `app`].
    #[arg(long)]
    audience: Option<String>,
    /// Issuer claim [default: the value `issuer`].
    #[arg(long)]
    issuer: Option<String>,
    /// DocumentKind claim.
    #[arg(long, default_value = "developer")]
    subject: String,
    /// Scope to grant; repeatable.
    #[arg(long)]
    scope: Vec<String>,
    /// Lifetime: `90s`, `30m`, `1h`, `7d`.
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
    #[command(flatten)]
    values: ValueArguments,
}

/// Signs the token with the development key, which is created on first use.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let issuer = if let Some(issuer) = &arguments.issuer {
        issuer.clone()
    } else {
        let values = project.values(&arguments.values, "local")?;
        values.get("issuer").unwrap_or(ISSUER).to_owned()
    };

    let audience = match &arguments.audience {
        Some(audience) => audience.clone(),
        None => default_audience(&project.catalog()?),
    };

    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut claims = json!({
        "iss": issuer,
        "aud": audience,
        "sub": arguments.subject,
        "iat": now.as_secs(),
        "exp": (now + arguments.ttl).as_secs(),
    });

    if !arguments.scope.is_empty() {
        // RFC 8693, section 4.2: `scope` is a space-separated list.
        claims["scope"] = arguments.scope.join(" ").into();
    }
    let token = DevKeys::open(project.root())?.sign(&claims)?;

    ui.data(&format!("{token}\n"));
    Ok(0)
}

/// Returns the audience that the first component that checks tokens has when it runs alone.
fn default_audience(catalog: &Catalog) -> String {
    let components = catalog
        .names()
        .filter_map(|name| catalog.component(name)?.ok());
    let mut audiences = components.filter_map(|component| {
        let file = component.file();
        let alone = &file.local.as_ref()?.program()?.alone;
        alone.get(&file.token()?.audience).cloned()
    });

    audiences.next().unwrap_or_else(|| AUDIENCE.to_owned())
}

/// Returns the value `issuer` of the local environment, or the default.
pub(super) fn issuer(project: &Project) -> String {
    let values = project.values(&ValueArguments::default(), "local").ok();
    values
        .and_then(|values| values.get("issuer").map(str::to_owned))
        .unwrap_or(ISSUER.into())
}

const AUDIENCE: &str = "app";
const ISSUER: &str = "https://issuer.assemble.local/";

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostics::source::Source;

    const GATE: &str = "
schema: 1
name: gate
kind: proxy
summary: Checks tokens
image: gate:1
requires: { upstream: { interface: http, setting: upstream } }
settings:
  upstream: { type: string, required: true }
  trusted: { type: string }
  audience: { type: string }
size: { cpu: 64, memory: 64 }
local: { binary: gate, alone: { audience: shop }, token: { issuer: trusted, audience: audience } }
";

    #[test]
    fn the_default_audience_is_that_of_the_component_that_checks_tokens() {
        let catalog = Catalog::read(&[Source::new("gate.yaml", GATE)]);
        assert_eq!(default_audience(&catalog), "shop");
        assert_eq!(default_audience(&Catalog::read(&[])), AUDIENCE);
    }
}
