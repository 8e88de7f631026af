//! The coin counter as a component of a task.

use std::io::Write;

use chassis::{BoxError, Component, Port, Process, Verb};

use crate::{Config, Options, count, serve};

/// The coins component.
#[derive(Debug)]
pub struct Coins;

impl Component for Coins {
    const NAME: &'static str = "coins";
    const SUMMARY: &'static str = "Counts the value of the coins in a photo";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9904;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        vec![Port {
            name: "http",
            setting: "listen",
            address: config.listen,
        }]
    }

    fn verbs() -> &'static [Verb] {
        &[Verb {
            name: "count",
            arguments: "FILE...",
            summary: "Count the coins in photos and print one line of JSON for each",
        }]
    }

    async fn serve(mut config: Config, process: Process) -> Result<(), BoxError> {
        let listener = chassis::bind("listen", config.listen)?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        config.limits.drain_timeout = process.common.drain_timeout;
        config.memory_bytes = process.container_memory.unwrap_or(config.memory_bytes);
        Ok(serve(config, listener, process.shutdown, process.readiness).await?)
    }

    async fn verb(
        _name: &str,
        arguments: Vec<String>,
        config: Config,
        _process: Process,
    ) -> Result<u8, BoxError> {
        if arguments.is_empty() {
            return Err("no files given; pass the photos to count".into());
        }
        tokio::task::spawn_blocking(move || count_files(&arguments, &config)).await?
    }
}

/// Prints one line for each file: the count or the error. Returns 1 if any file has an error.
fn count_files(files: &[String], config: &Config) -> Result<u8, BoxError> {
    let limits = config.photo_limits();
    let mut code = 0;

    for file in files {
        let result = std::fs::read(file)
            .map_err(BoxError::from)
            .and_then(|bytes| {
                count(
                    &bytes,
                    Options {
                        currency: None,
                        limits,
                    },
                )
                .map_err(BoxError::from)
            });

        let mut line = match result {
            Ok(count) => serde_json::to_value(&count)?,
            Err(error) => {
                code = 1;
                serde_json::json!({ "error": { "message": error.to_string() } })
            }
        };

        line["file"] = file.as_str().into();
        writeln!(std::io::stdout(), "{line}")?;
    }

    Ok(code)
}
