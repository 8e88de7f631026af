//! Loading of settings into a `Config`, and the problems reported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

use std::{fs, net::SocketAddr};

use chassis::{
    BoxError, Component, HumanDuration, Port, Problem, Process, Secret, Settings, Sources,
    http::Limits, load,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Sample;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    listen: SocketAddr,
    issuer: Option<String>,
    workers: u16,
    share: f64,
    on: bool,
    tags: Vec<String>,
    rules: Vec<Rule>,
    mode: Mode,
    token: Secret,
    limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Quick.
    Fast,
    /// Careful.
    Safe,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 1)),
            issuer: None,
            workers: 4,
            share: 0.5,
            on: false,
            tags: vec!["default".into()],
            rules: Vec::new(),
            mode: Mode::Fast,
            token: Secret::default(),
            limits: Limits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let missing = self.issuer.is_none();
        missing
            .then(|| Problem::new("issuer", "is required", "set it"))
            .into_iter()
            .collect()
    }
}

impl Component for Sample {
    const NAME: &'static str = "sam-ple";
    const SUMMARY: &'static str = "Has settings";
    const VERSION: &'static str = "1";
    const ADMIN_PORT: u16 = 9999;
    type Config = Config;

    fn ports(_: &Config) -> Vec<Port> {
        Vec::new()
    }

    async fn serve(_: Config, _: Process) -> Result<(), BoxError> {
        Ok(())
    }
}

fn read(variables: &[(&str, &str)]) -> Result<chassis::LoadedSettings<Config>, Vec<Problem>> {
    load::<Sample>(&Sources::from_variables(variables.iter().copied()))
}

fn config(variables: &[(&str, &str)]) -> Config {
    let issuer = [("SAM_PLE_ISSUER", "me")];
    read(&[&issuer, variables].concat()).unwrap().config
}

fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let issuer = [("SAM_PLE_ISSUER", "me")];
    let problems = read(&[&issuer, variables].concat()).unwrap_err();
    problems
        .iter()
        .map(|problem| problem.format("sam-ple"))
        .collect()
}

#[test]
fn defaults_apply_without_values() {
    let loaded = read(&[("SAM_PLE_ISSUER", "me")]).unwrap();
    assert_eq!(loaded.config.workers, 4);
    assert_eq!(loaded.config.tags, ["default"]);
    assert_eq!(loaded.common.admin.port(), 9999);
    assert_eq!(loaded.common.drain_timeout, HumanDuration::from_secs(20));
}

#[test]
fn variables_override_the_document_and_the_document_overrides_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    fs::write(
        &file,
        "workers = 1\nshare = 0.1\non = true\n[limits]\nidle_timeout = \"1s\"\n",
    )
    .unwrap();

    // `workers` is in all three sources, `share` in two, `on` in the file only.
    let config = config(&[
        ("SAM_PLE_SETTINGS_FILE", file.to_str().unwrap()),
        (
            "SAM_PLE_SETTINGS",
            r#"{"share":0.2,"workers":2,"limits":{"header_timeout":"2s"}}"#,
        ),
        ("SAM_PLE_WORKERS", "3"),
    ]);

    assert_eq!((config.workers, config.share, config.on), (3, 0.2, true));
    assert_eq!(config.limits.idle_timeout, HumanDuration::from_secs(1));
    assert_eq!(config.limits.header_timeout, HumanDuration::from_secs(2));
    assert_eq!(
        config.limits.first_byte_timeout,
        Limits::default().first_byte_timeout
    );
}

#[test]
fn reads_a_json_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    // `null` keeps the default.
    fs::write(&file, r#"{"issuer":"from the file","workers":null}"#).unwrap();
    let loaded = read(&[("SAM_PLE_SETTINGS_FILE", file.to_str().unwrap())]).unwrap();
    assert_eq!(loaded.config.issuer.as_deref(), Some("from the file"));
    assert_eq!(loaded.config.workers, 4);
}

#[test]
fn a_string_setting_keeps_its_text_verbatim() {
    // Each would become another type if it were parsed as JSON or TOML.
    for text in ["007", "true", "null", "[1]", "", "a,b"] {
        let loaded = read(&[("SAM_PLE_ISSUER", text)]).unwrap();
        assert_eq!(loaded.config.issuer.as_deref(), Some(text));
    }
}

#[test]
fn parses_lists_with_commas_or_as_json() {
    assert_eq!(config(&[("SAM_PLE_TAGS", "a, b,,c")]).tags, ["a", "b", "c"]);
    assert_eq!(config(&[("SAM_PLE_TAGS", r#"["a, b"]"#)]).tags, ["a, b"]);
    assert!(config(&[("SAM_PLE_TAGS", "")]).tags.is_empty());
    let rules = config(&[("SAM_PLE_RULES", r#"[{"path":"/a"}]"#)]).rules;
    assert_eq!(rules, [Rule { path: "/a".into() }]);
}

#[test]
fn parses_nested_settings_and_groups_as_json() {
    let idle = |variables: &[(&str, &str)]| config(variables).limits.idle_timeout;
    assert_eq!(
        idle(&[("SAM_PLE_LIMITS__IDLE_TIMEOUT", "7s")]),
        HumanDuration::from_secs(7)
    );
    assert_eq!(
        idle(&[("SAM_PLE_LIMITS", r#"{"idle_timeout":"8s"}"#)]),
        HumanDuration::from_secs(8)
    );
}

#[test]
fn rejects_an_unknown_enum_value() {
    assert_eq!(config(&[("SAM_PLE_MODE", "safe")]).mode, Mode::Safe);
    let reported = problems(&[("SAM_PLE_MODE", "slow")]);
    assert!(
        reported[0].contains("`slow`") && reported[0].contains("fast"),
        "{reported:?}"
    );
}

#[test]
fn reports_all_problems_of_all_sources_together() {
    // One problem per source and kind: an unreadable file, a wrong type and an unknown name in the
    // document, unparsable variables, a misspelt variable, and a required setting that is missing.
    let reported = read(&[
        ("SAM_PLE_SETTINGS_FILE", "/does/not/exist.toml"),
        (
            "SAM_PLE_SETTINGS",
            r#"{"workers":-1,"share":"much","colour":"red"}"#,
        ),
        ("SAM_PLE_LISTEN", "here"),
        ("SAM_PLE_ON", "yes"),
        ("SAM_PLE_LIMITS__IDLE_TIMEOTU", "1s"),
        ("SAM_PLE_RULES", r#"[{"pat":"/a"}]"#),
        ("SAM_PLE_DRAIN_TIMEOUT", "20"),
    ])
    .unwrap_err();

    let mut settings: Vec<&str> = reported
        .iter()
        .map(|problem| problem.setting.as_str())
        .collect();

    settings.sort_unstable();
    let expected = [
        "SAM_PLE_LIMITS__IDLE_TIMEOTU",
        "SAM_PLE_SETTINGS_FILE",
        "colour",
        "drain_timeout",
        "issuer",
        "listen",
        "on",
        "rules.0.pat",
        "share",
        "workers",
    ];
    assert_eq!(settings, expected);
}

#[test]
fn an_unknown_name_gets_a_suggestion() {
    assert_eq!(
        problems(&[("SAM_PLE_WORKRES", "3")]),
        ["`SAM_PLE_WORKRES` is not a setting; did you mean `SAM_PLE_WORKERS`?"]
    );
    assert_eq!(
        problems(&[("SAM_PLE_SETTINGS", r#"{"limits":{"idle_timeotu":"1s"}}"#)]),
        [
            "`limits.idle_timeotu` (SAM_PLE_LIMITS__IDLE_TIMEOTU) in SAM_PLE_SETTINGS is not a setting; did you mean `limits.idle_timeout`?"
        ]
    );
}

#[test]
fn ignores_variables_with_another_prefix() {
    // The second begins with the component's name, but not with its whole prefix `SAM_PLE_`.
    config(&[("PATH", "/bin"), ("SAM_PLER_X", "1"), ("SAM", "1")]);
}

#[test]
fn a_problem_with_a_secret_does_not_print_it() {
    // serde's own message would quote the number.
    let reported = problems(&[("SAM_PLE_SETTINGS", r#"{"token":12345}"#)]);
    assert_eq!(reported, ["`token` (SAM_PLE_TOKEN) is not valid"]);
}

#[test]
fn rejects_invalid_log_directives() {
    assert!(problems(&[("SAM_PLE_LOG", "info,hyper=loud")])[0].contains("SAM_PLE_LOG"));
    config(&[("SAM_PLE_LOG", "info,hyper=debug")]);
}

#[test]
fn rejects_a_document_that_is_not_an_object() {
    assert!(problems(&[("SAM_PLE_SETTINGS", "[1]")])[0].contains("is not an object"));
    assert!(problems(&[("SAM_PLE_SETTINGS", "{")])[0].contains("is not a JSON document"));
}
