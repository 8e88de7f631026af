//! The platforms that images are built for, and what compiling for them needs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::error::CliError;

/// A platform of Fargate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Target {
    /// Intel and AMD.
    #[value(name = "linux/amd64")]
    Amd64,
    /// Graviton.
    #[value(name = "linux/arm64")]
    Arm64,
}

impl Target {
    /// Returns the name of the platform in OCI indexes.
    pub(super) fn platform(self) -> &'static str {
        match self {
            Self::Amd64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }

    /// Returns Rust's name of the target.
    pub(super) fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Returns Debian's cross compiler and the packages that contain it and its C library.
    fn cross_compiler(self) -> (&'static str, &'static str) {
        match self {
            Self::Amd64 => (
                "x86_64-linux-gnu-gcc",
                "gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
            ),
            Self::Arm64 => (
                "aarch64-linux-gnu-gcc",
                "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
            ),
        }
    }

    /// Returns the triple as a part of an environment variable: `X86_64_UNKNOWN_LINUX_GNU`.
    fn variable(self) -> String {
        self.triple().to_uppercase().replace('-', "_")
    }
}

/// The installed Rust.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) sysroot: PathBuf,
    /// The target of programs without `--target`.
    host: String,
    /// `1.95.0`.
    pub(super) version: String,
    /// The minor version of the C library 2.x that programs for this machine are linked with, if it is glibc.
    glibc: Option<u32>,
}

impl Toolchain {
    /// Asks rustc, in the folder with the `rust-toolchain.toml` that applies.
    pub(super) fn read(folder: &Path) -> Result<Self, CliError> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&rustc);
            command.args(arguments).current_dir(folder);
            let output = command.output().map_err(|error| {
                CliError::Usage(format!(
                    "cannot run rustc: {error}; install Rust with rustup, or build the program elsewhere and use `--binary`"
                ))
            })?;
            Ok::<_, CliError>(String::from_utf8_lossy(&output.stdout).into_owned())
        };

        let version = run(&["--version", "--verbose"])?;
        let field = |name: &str| {
            let line = version.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        Ok(Self {
            sysroot: run(&["--print", "sysroot"])?.trim().into(),
            host: field("host:"),
            version: field("release:"),
            glibc: read_glibc(),
        })
    }

    /// Returns the linker options that make programs for a target smaller, in the file and in memory.
    pub(super) fn link_options(&self, target: Target) -> &'static [&'static str] {
        // They need rustc's own linker, which it uses on x86-64.
        if target != Target::Amd64 || self.host != target.triple() {
            return &[];
        }

        // Relative relocations as a bitmap: 40 kB of a compressed program. The start code of a static program must know
        // the format (glibc 2.36).
        if self.glibc.is_some_and(|minor| minor >= 36) {
            &[
                GROUP_SECTIONS,
                MERGE_STRINGS,
                "-Clink-arg=-Wl,-z,pack-relative-relocs",
            ]
        } else {
            &[GROUP_SECTIONS, MERGE_STRINGS]
        }
    }

    /// Returns the version of the C library in programs for a target; that of a cross compiler is not known.
    pub(super) fn libc_version(&self, target: Target) -> Option<String> {
        let minor = self.glibc.filter(|_| self.host == target.triple())?;
        Some(format!("2.{minor}"))
    }

    /// Checks that programs for a target can be compiled; the error has the commands that install the rest.
    pub(super) fn check(&self, target: Target) -> Result<(), CliError> {
        let mut missing = Vec::new();
        let library = self.sysroot.join("lib/rustlib").join(target.triple());
        if !library.join("lib").is_dir() {
            missing.push(format!(
                "Rust's standard library for it (`rustup target add {}`)",
                target.triple()
            ));
        }

        let (compiler, packages) = target.cross_compiler();
        let is_native = self.host == target.triple();
        if !is_native && Self::linker(target).is_none() {
            missing.push(format!(
                "the C compiler {compiler} (Debian: `apt-get install {packages}`)"
            ));
        }

        if missing.is_empty() {
            Ok(())
        } else {
            Err(CliError::Usage(format!(
                "cannot compile for {}: missing is {}",
                target.platform(),
                missing.join(", and ")
            )))
        }
    }

    /// Returns the variables with which cargo and the `cc` crate use the cross compiler, if one is needed.
    pub(super) fn cross_variables(&self, target: Target) -> Vec<(String, String)> {
        let compiler = Self::linker(target).filter(|_| self.host != target.triple());
        let Some(compiler) = compiler else {
            return Vec::new();
        };

        let underscored = target.triple().replace('-', "_");
        let linker = format!("CARGO_TARGET_{}_LINKER", target.variable());
        vec![
            (linker, compiler.clone()),
            (format!("CC_{underscored}"), compiler),
        ]
    }

    /// Returns the linker for a foreign target: the user's choice, or Debian's cross compiler.
    fn linker(target: Target) -> Option<String> {
        let chosen = env::var(format!("CARGO_TARGET_{}_LINKER", target.variable())).ok();
        let (compiler, _) = target.cross_compiler();
        chosen.or_else(|| is_on_path(compiler).then(|| compiler.to_owned()))
    }
}

/// Returns x of glibc 2.x. `getconf` belongs to glibc; other C libraries have none or another answer.
fn read_glibc() -> Option<u32> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version = String::from_utf8(output.ok()?.stdout).ok()?;
    version.trim().strip_prefix("glibc 2.")?.parse().ok()
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Places functions that run only after errors (`.text.unlikely`) together, away from the pages that are used.
const GROUP_SECTIONS: &str = "-Clink-arg=-Wl,-z,keep-text-section-prefix";

/// Stores strings that are the end of others once. The linker optimises nothing else with it.
const MERGE_STRINGS: &str = "-Clink-arg=-Wl,-O2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_all_that_is_missing_with_the_commands_that_install_it() {
        let toolchain = Toolchain {
            sysroot: "/nowhere".into(),
            host: "riscv64gc-unknown-linux-gnu".to_owned(),
            version: "1.95.0".to_owned(),
            glibc: None,
        };
        let error = toolchain
            .check(Target::Arm64)
            .expect_err("nothing is there");
        let text = error.to_string();
        assert!(
            text.contains("rustup target add aarch64-unknown-linux-gnu"),
            "{text}"
        );
    }

    #[test]
    fn relocations_are_packed_only_with_a_c_library_that_reads_them() {
        let options = |host: &str, glibc, target| {
            let toolchain = Toolchain {
                sysroot: "/nowhere".into(),
                host: host.to_owned(),
                version: "1.95.0".to_owned(),
                glibc,
            };
            toolchain.link_options(target).concat()
        };

        let amd64 = "x86_64-unknown-linux-gnu";
        assert!(options(amd64, Some(36), Target::Amd64).contains("pack-relative-relocs"));
        for glibc in [Some(35), None] {
            let options = options(amd64, glibc, Target::Amd64);
            assert!(!options.contains("pack-relative-relocs"), "{options}");
        }
        assert_eq!(options(amd64, Some(36), Target::Arm64), "");
        let arm64 = "aarch64-unknown-linux-gnu";
        assert_eq!(options(arm64, Some(36), Target::Amd64), "");
    }
}
