//! The configuration of a program's image, new or on that of a base.

use serde_json::{Map, Value, json};

use super::ProgramImage;
use crate::layout::{
    BaseImage, Compression, ContainerConfig, History, ImageConfig, LayerArchive, LayoutError,
    RootFs,
};

/// Returns the configuration of an image with this one layer.
pub(super) fn new(
    image: &ProgramImage,
    archive: &LayerArchive,
    compression: Compression,
) -> ImageConfig {
    ImageConfig {
        created: image.created.clone(),
        architecture: image.program.architecture().to_owned(),
        os: "linux".to_owned(),
        config: ContainerConfig {
            user: "65532:65532".to_owned(),
            entrypoint: vec![image.entry_point()],
            cmd: image.command.clone(),
            env: image.environment.clone(),
            exposed_ports: ports(image).map(|port| (port, json!({}))).collect(),
            volumes: volumes(image).map(|path| (path, json!({}))).collect(),
            working_dir: "/".to_owned(),
            labels: image.labels.clone(),
            stop_signal: STOP_SIGNAL.to_owned(),
            ..ContainerConfig::default()
        },
        rootfs: RootFs {
            diff_ids: vec![archive.diff_id().to_string()],
            ..RootFs::default()
        },
        history: vec![History {
            created: image.created.clone(),
            created_by: Some(created_by(compression)),
        }],
    }
}

/// Returns the configuration of a base image with the program's layer, entry point and facts added.
pub(super) fn on_base(
    image: &ProgramImage,
    base: &BaseImage,
    archive: &LayerArchive,
    compression: Compression,
) -> Result<Map<String, Value>, LayoutError> {
    let mut document = base.config.clone();
    let layers = document
        .get_mut("rootfs")
        .and_then(|rootfs| rootfs.get_mut("diff_ids")?.as_array_mut())
        .filter(|layers| layers.len() == base.layers.len())
        .ok_or(LayoutError::InvalidBase)?;
    layers.push(json!(archive.diff_id().as_str()));

    // The entries of the history belong to the layers; a base without one stays without.
    if let Some(history) = document.get_mut("history").and_then(Value::as_array_mut) {
        let mut step = json!({ "created_by": created_by(compression) });
        if let Some(created) = &image.created {
            step["created"] = json!(created);
        }
        history.push(step);
    }
    if let Some(created) = &image.created {
        document.insert("created".to_owned(), json!(created));
    }

    change(&mut document, "config", |config| {
        config.insert("Entrypoint".to_owned(), json!([image.entry_point()]));
        // The base's command was written for the base's entry point.
        config.insert("Cmd".to_owned(), json!(image.command));
        if config.get("StopSignal").is_none_or(Value::is_null) {
            config.insert("StopSignal".to_owned(), json!(STOP_SIGNAL));
        }

        extend_environment(config, &image.environment);
        change(config, "ExposedPorts", |exposed| {
            exposed.extend(ports(image).map(|port| (port, json!({}))));
        });
        change(config, "Volumes", |paths| {
            paths.extend(volumes(image).map(|path| (path, json!({}))));
        });
        change(config, "Labels", |labels| {
            let own = image.labels.iter();
            labels.extend(own.map(|(name, value)| (name.clone(), json!(value))));
        });
    });

    Ok(document)
}

/// Adds variables; one of the same name replaces that of the base.
fn extend_environment(config: &mut Map<String, Value>, variables: &[String]) {
    let base = config.get("Env").and_then(Value::as_array);
    let mut all: Vec<Value> = base.cloned().unwrap_or_default();
    let name = |variable: &str| {
        variable
            .split_once('=')
            .map_or(variable, |(name, _)| name)
            .to_owned()
    };

    for variable in variables {
        all.retain(|other| other.as_str().map(name) != Some(name(variable)));
        all.push(json!(variable));
    }
    config.insert("Env".to_owned(), json!(all));
}

/// Changes a member that is an object; one that is missing or `null` starts empty.
fn change(
    parent: &mut Map<String, Value>,
    name: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    let member = parent.remove(name);
    let mut object = match member {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    change(&mut object);
    parent.insert(name.to_owned(), Value::Object(object));
}

fn ports(image: &ProgramImage) -> impl Iterator<Item = String> {
    image.ports.iter().map(|port| format!("{port}/tcp"))
}

fn volumes(image: &ProgramImage) -> impl Iterator<Item = String> {
    image.folders.iter().map(|folder| folder.path.clone())
}

/// The bytes of a layer depend on the compression, so that two images with the same configuration are the same image.
fn created_by(compression: Compression) -> String {
    format!("assemble images build, {}", compression.describe())
}

const STOP_SIGNAL: &str = "SIGTERM";
