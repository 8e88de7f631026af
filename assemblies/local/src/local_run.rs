//! A local run whose options are resolved and checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use registry::UnpackedImage;
use task_definition::{TaskDefinition, Volume};
use task_runner::RunPlan;
use task_runner::metadata::CredentialsSource;
use task_runner::sandbox::Sandbox;

use crate::dev_keys::private_folder;
use crate::image::ImagePrograms;
use crate::run_dir::Binding;
use crate::run_folder::claim_folder;
use crate::runtime::new_runtime;
use crate::session::{self, Report};
use crate::stub::Stubs;
use crate::target::Target;
use crate::{
    Error, Messages, Options, Project, environment, folders, image, limits, network, programs,
    secrets, stub,
};

/// A task that is ready to run.
#[derive(Debug)]
pub struct LocalRun {
    options: Options,
    project: Project,
    target: Target,
    plan: RunPlan,
    ports: Vec<(TcpListener, u16)>,
    bindings: Vec<Binding>,
    reaches: Vec<network::Reach>,
    /// The lock on the run directory, held until this is dropped.
    lock: File,
    /// The images whose files the containers use.
    images: Vec<UnpackedImage>,
}

impl LocalRun {
    /// Resolves the options against the task definition: programs, secrets, ports, directories. Locks the run
    /// directory and binds the published ports.
    pub fn new(
        mut target: Target,
        mut options: Options,
        project: Project,
        ui: &dyn Messages,
    ) -> Result<Self, Error> {
        if let Some(identity) = options.role.identity() {
            target.region.clone_from(&identity.region);
        }
        image::choose_all(&mut options, &target.definition);
        let local = LocalDefinition::new(&target, &options, ui)?;
        let environment = environment::read_overrides(&options, &local.definition)?;
        let ImagePrograms { programs, images } =
            local.find_programs(&target, &options, &project, ui)?;
        let secrets = secrets::read_all(&local.definition, &project)?;
        let ports = local.bind_ports(&options)?;
        let bindings = network::bindings(&ports);
        if let Some(public) = &mut target.public {
            public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
        }

        let cgroups = limits::cgroups(&local.definition, &options);
        let sandboxed = local.sandbox.is_some();
        limits::warn_about_unenforced(&local.definition, sandboxed, cgroups.as_deref(), ui);
        let (folder, lock) = claim_folder(&options, &local.definition.family, &project)?;

        let volumes = persistent_volumes(&local.definition, &project)?;
        let mut plan = RunPlan {
            definition: local.definition,
            programs,
            environment,
            defaults: defaults(&target),
            secrets,
            volumes,
            folder,
            init: local.init,
            fast_health: options.fast_health,
            sandbox: local.sandbox,
            cgroups,
            writable_paths: BTreeMap::new(),
            files: BTreeMap::new(),
            hosts: None,
        };

        // Both need the finished plan: they look at the variables that containers get.
        plan.writable_paths = folders::find_mentioned(&plan);
        plan.files = folders::find_project_files(&plan, &project)?;
        let reaches = network::find_reaches(&plan, &target, &options);
        plan.hosts = network::hosts(&reaches, &plan.folder)?;

        Ok(Self {
            options,
            project,
            target,
            plan,
            ports,
            bindings,
            reaches,
            lock,
            images,
        })
    }

    /// Runs the task until it ends or is stopped by a signal or through its control socket. `credentials` is awaited
    /// before the task's clock starts.
    pub fn run(
        self,
        credentials: impl Future<Output = Result<Option<CredentialsSource>, Error>>,
        ui: &dyn Messages,
    ) -> Result<Report, Error> {
        let runtime = new_runtime()?;
        let (options, project, lock) = (self.options, self.project, self.lock);
        let images = self.images;
        let result = runtime.block_on(async {
            let forwards = network::open(&self.plan, self.ports, &self.reaches, ui)?;
            let session = session::run_session(
                self.plan,
                self.target,
                (&self.bindings, forwards),
                &options,
                &project,
                credentials,
                ui,
            );
            // Boxed: the future is large, and this one is on the stack of `block_on`.
            Box::pin(session).await
        });

        // Another run may use the directory from now on.
        drop(lock);
        drop(images);
        result
    }
}

/// The definition as it runs here: without the skipped containers and with stubs; and the sandbox it runs in.
struct LocalDefinition {
    definition: TaskDefinition,
    stubs: Stubs,
    /// This program, which is the init process of every container.
    init: PathBuf,
    sandbox: Option<Arc<Sandbox>>,
}

impl LocalDefinition {
    fn new(target: &Target, options: &Options, ui: &dyn Messages) -> Result<Self, Error> {
        let mut definition = target.definition.clone();
        task_runner::validate_names(&definition).map_err(|why| Error::Usage(why.to_string()))?;
        stub::check_names(options, &definition)?;

        let stubs = stub::apply(&mut definition, target, options, ui)?;
        let init = task_runner::init::own_executable().map_err(|why| {
            Error::Usage(format!("cannot find the path of this executable: {why}"))
        })?;
        let sandbox = network::sandbox(&definition, options, &init, ui);
        let mut local = Self {
            definition,
            stubs,
            init,
            sandbox,
        };

        // In the host's network a listener on 0.0.0.0 would be reachable from outside.
        if !local.has_own_network() && !options.bind_all {
            environment::keep_to_loopback(&mut local.definition, ui);
        }
        Ok(local)
    }

    fn has_own_network(&self) -> bool {
        let sandbox = self.sandbox.as_ref();
        sandbox.is_some_and(|sandbox| sandbox.isolation().network)
    }

    /// Finds the programs of all containers: on this machine, or in the chosen images.
    fn find_programs(
        &self,
        target: &Target,
        options: &Options,
        project: &Project,
        ui: &dyn Messages,
    ) -> Result<ImagePrograms, Error> {
        let mut programs = programs::find(&self.definition, &self.stubs, target, options, project)?;
        let sandboxed = self.sandbox.is_some();
        let from_images = image::programs(&self.definition, options, sandboxed, project, ui)?;
        programs.extend(from_images.programs);

        Ok(ImagePrograms {
            programs,
            images: from_images.images,
        })
    }

    /// Binds the published ports, each with its port in the task. In its own network the task's ports cannot collide
    /// with the host's; only published ones can.
    fn bind_ports(&self, options: &Options) -> Result<Vec<(TcpListener, u16)>, Error> {
        if self.has_own_network() {
            return network::ports(&self.definition, options);
        }
        environment::ports_are_free(&self.definition)?;
        Ok(Vec::new())
    }
}

/// Returns directories for the volumes that outlive a task on Fargate too: EFS and S3 file systems.
fn persistent_volumes(
    definition: &TaskDefinition,
    project: &Project,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let persistent = definition.volumes.iter().filter(|volume| {
        volume.efs_volume_configuration.is_some() || volume.s3files_volume_configuration.is_some()
    });
    let folder = |volume: &Volume| {
        let folder = private_folder(project.root(), &format!("volumes/{}", volume.name))?;
        Ok((volume.name.clone(), folder))
    };

    persistent.map(folder).collect()
}

/// Returns the variables that ECS sets in every container.
fn defaults(target: &Target) -> BTreeMap<String, String> {
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .map(|name| (name.to_owned(), target.region.clone()))
        .into()
}
