//! A local run whose options are resolved and checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;

use task_runner::RunPlan;
use task_runner::metadata::CredentialsSource;

use crate::dev_keys::private_folder;
use crate::run_folder::{choose_name, free_folder, lock, remove_old_runs};
use crate::session::{self, Report};
use crate::target::Target;
use crate::{
    Error, Messages, Options, Project, environment, folders, image, network, programs, stub,
};

/// A task that is ready to run.
#[derive(Debug)]
pub struct LocalRun {
    options: Options,
    project: Project,
    target: Target,
    plan: RunPlan,
    ports: Vec<(TcpListener, u16)>,
    reaches: Vec<network::Reach>,
    /// The lock on the run directory, held until this is dropped.
    lock: File,
}

impl LocalRun {
    /// Resolves the options against the task definition: programs, secrets, ports, directories. Locks the run
    /// directory and binds the published ports.
    pub fn new(
        mut target: Target,
        options: Options,
        project: Project,
        ui: &dyn Messages,
    ) -> Result<Self, Error> {
        let mut definition = target.definition.clone();
        task_runner::validate_names(&definition).map_err(|why| Error::Usage(why.to_string()))?;
        stub::check_names(&options, &definition)?;

        let stubs = stub::apply(&mut definition, &target, &options, ui)?;
        let init = task_runner::init::own_executable().map_err(|why| {
            Error::Usage(format!("cannot find the path of this executable: {why}"))
        })?;
        let sandbox = network::sandbox(&definition, &options, &init, ui);
        let own_network = sandbox
            .as_ref()
            .is_some_and(|sandbox| sandbox.isolation().network);

        // In the host's network a listener on 0.0.0.0 would be reachable from outside.
        if !own_network && !options.bind_all {
            environment::keep_to_loopback(&mut definition, ui);
        }

        let mut variables = environment::read_files(&options.env_file)?;
        variables.extend_from_slice(&options.env);
        let overrides = environment::overrides(&variables, &definition)?;
        let mut programs = programs::find(&definition, &stubs, &target, &options, &project)?;

        programs.extend(image::programs(
            &definition,
            &options,
            sandbox.is_some(),
            &project,
            ui,
        )?);

        let secrets = environment::secrets(&definition, &project)?;
        // In its own network the task's ports cannot collide with the host's; only published ones can.
        let ports = if own_network {
            network::ports(&definition, &options)?
        } else {
            environment::ports_are_free(&definition)?;
            Vec::new()
        };

        let cgroups = environment::cgroups(&definition, &options);
        environment::warn_about_unenforced(&definition, sandbox.is_some(), cgroups.as_deref(), ui);
        let name = choose_name(&options, &definition.family);
        let folder = free_folder(&name, &project)?;
        let lock = lock(&folder, &name)?;

        remove_old_runs(&folder);
        let volumes = persistent_volumes(&definition, &project)?;
        let mut plan = RunPlan {
            definition,
            programs,
            environment: overrides,
            defaults: defaults(&target),
            secrets,
            volumes,
            folder,
            init,
            fast_health: options.fast_health,
            sandbox,
            cgroups,
            writable_paths: BTreeMap::new(),
            hosts: None,
        };

        // Both need the finished plan: they look at the variables that containers get.
        plan.writable_paths = folders::find_mentioned(&plan);
        let reaches = network::find_reaches(&plan, &target, &options);
        plan.hosts = network::hosts(&reaches, &plan.folder)?;
        if let Some(public) = &mut target.public {
            public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
        }

        Ok(Self {
            options,
            project,
            target,
            plan,
            ports,
            reaches,
            lock,
        })
    }

    /// Runs the task until it ends or is stopped by a signal or through its control socket. `credentials` is awaited
    /// before the task's clock starts.
    pub fn run(
        self,
        credentials: impl Future<Output = Result<Option<CredentialsSource>, Error>>,
        ui: &dyn Messages,
    ) -> Result<Report, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|failure| Error::Usage(format!("cannot start: {failure}")))?;
        let (options, project, lock) = (self.options, self.project, self.lock);
        let result = runtime.block_on(async {
            let bindings = network::bindings(&self.ports);
            let forwards = network::open(&self.plan, self.ports, &self.reaches, ui)?;
            let session = session::run_session(
                self.plan,
                self.target,
                (&bindings, forwards),
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
        result
    }
}

/// Returns directories for the volumes that outlive a task on Fargate too: EFS and S3 file systems.
fn persistent_volumes(
    definition: &task_definition::TaskDefinition,
    project: &Project,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let persistent = definition.volumes.iter().filter(|volume| {
        volume.efs_volume_configuration.is_some() || volume.s3files_volume_configuration.is_some()
    });
    let folder = |volume: &task_definition::Volume| {
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
