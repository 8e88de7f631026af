//! `assemble dev-token`: a token that auth-filter accepts under `up`, and nowhere else.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::cli::ValueArguments;
use crate::dev_keys::DevKeys;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Whose token, for whom, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whom the token is for: the setting `audience` of auth-filter.
    #[arg(long, default_value = "coins")]
    audience: String,
    /// Who issues it; the value `issuer` when left out.
    #[arg(long)]
    issuer: Option<String>,
    /// Whom it speaks for.
    #[arg(long, default_value = "developer")]
    subject: String,
    /// What it permits; may be given several times.
    #[arg(long)]
    scope: Vec<String>,
    /// How long it is good: `90s`, `30m`, `1h`, `7d`.
    #[arg(long, default_value = "1h", value_parser = period)]
    ttl: Duration,
    #[command(flatten)]
    values: ValueArguments,
}

/// Signs it with the development key, which is made on first use.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let issuer = if let Some(issuer) = &arguments.issuer {
        issuer.clone()
    } else {
        let values = project.values(&arguments.values, "local")?;
        values.get("issuer").unwrap_or(ISSUER).to_owned()
    };

    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut claims = json!({
        "iss": issuer,
        "aud": arguments.audience,
        "sub": arguments.subject,
        "iat": now.as_secs(),
        "exp": (now + arguments.ttl).as_secs(),
    });

    if !arguments.scope.is_empty() {
        claims["scope"] = arguments.scope.join(" ").into();
    }
    let token = DevKeys::of(project.root())?.sign(&claims)?;

    talk.data(&format!("{token}\n"));
    Ok(0)
}

/// The issuer that a token has when nobody says otherwise.
pub(super) fn issuer(project: &Project) -> String {
    let values = project.values(&ValueArguments::default(), "local").ok();
    values
        .and_then(|values| values.get("issuer").map(str::to_owned))
        .unwrap_or(ISSUER.into())
}

const ISSUER: &str = "https://issuer.assemble.local/";

/// A whole number with its unit.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number = text
        .strip_suffix(unit)
        .and_then(|number| number.parse::<u64>().ok());
    let seconds = match unit {
        "ms" => return number.map(Duration::from_millis).ok_or_else(unclear),
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(unclear()),
    };

    let whole = number
        .and_then(|number| number.checked_mul(seconds))
        .ok_or_else(unclear)?;
    Ok(Duration::from_secs(whole))
}

fn unclear() -> String {
    "is not a time; write it as `90s`, `30m`, `1h` or `7d`".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(period("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(period("1h"), Ok(Duration::from_hours(1)));
        assert_eq!(period("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(period("7"), Ok(Duration::from_secs(7)));
        assert!(period("soon").is_err() && period("1y").is_err() && period("").is_err());
    }
}
