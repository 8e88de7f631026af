//! The filter as a component of a task.

use ::http::HeaderName;
use chassis::{BoxError, Component, Port, Problem, Process, Verb};

use crate::config::Config;
use crate::credentials::ApiKeys;
use crate::service::serve;
use crate::verbs;

/// The auth-filter component.
#[derive(Debug)]
pub struct AuthFilter;

impl Component for AuthFilter {
    const NAME: &'static str = "auth-filter";
    const SUMMARY: &'static str = "Forwards requests to the next hop only with a valid credential";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9902;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        vec![Port {
            name: "http",
            setting: "listen",
            address: config.listen,
        }]
    }

    fn verbs() -> &'static [Verb] {
        verbs::ALL
    }

    fn check(config: &Config) -> Vec<Problem> {
        let error = config.fetcher().err().map(|error| {
            let hint = "set a PEM file with the CA certificate";
            Problem::new("jwks_ca_file", error.to_string(), hint)
        });
        let path = config.api_keys_file.clone();
        let keys = path.and_then(|path| {
            let header = HeaderName::from_static("x-api-key");
            let error = ApiKeys::new(header, &[], Some(path)).err()?;
            let hint = "create entries with `auth-filter api-key ID`";
            Some(Problem::new("api_keys_file", error.to_string(), hint))
        });

        let introspection = config.build_introspection().err().map(|error| {
            let hint = "set an https URL, and a PEM file in `jwks_ca_file` for a private CA";
            Problem::new("introspection.url", error.to_string(), hint)
        });
        error.into_iter().chain(keys).chain(introspection).collect()
    }

    async fn serve(mut config: Config, process: Process) -> Result<(), BoxError> {
        let listener = chassis::bind("listen", config.listen)?;
        tracing::info!(address = %listener.local_addr()?, upstream = config.upstream, "listening");
        config.limits.drain_timeout = process.common.drain_timeout;
        if let Some(memory) = process.container_memory {
            config.limits = config.limits.within(memory);
        }
        config.proxy = process.proxy;
        Ok(serve(config, listener, process.shutdown, process.readiness).await?)
    }

    fn run_without_settings(name: &str, arguments: &[String]) -> Option<Result<u8, BoxError>> {
        verbs::run_without_settings(name, arguments)
    }

    async fn verb(
        name: &str,
        arguments: Vec<String>,
        mut config: Config,
        process: Process,
    ) -> Result<u8, BoxError> {
        config.proxy = process.proxy;
        verbs::run(name, &arguments, &config).await
    }
}
