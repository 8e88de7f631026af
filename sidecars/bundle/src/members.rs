//! Chooses the sidecar that a command line names, and runs it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use chassis::Component;

/// A sidecar of the bundle.
pub(crate) struct Member {
    name: &'static str,
    summary: &'static str,
    main: fn(&str, &[String]) -> ExitCode,
}

impl Member {
    pub(crate) const fn new<C: Component>() -> Self {
        Self {
            name: C::NAME,
            summary: C::SUMMARY,
            main: chassis::main_with::<C>,
        }
    }
}

/// What a command line asks for.
enum Request<'a> {
    /// Run a member with its arguments; `usage` is how the user called it.
    Run {
        member: &'a Member,
        usage: String,
        arguments: &'a [String],
    },
    List,
    Version,
    /// No member has this name.
    Unknown(&'a str),
}

/// Runs the member that the program's name or the first argument names.
pub(crate) fn run(members: &[Member], called_as: &str, arguments: &[String]) -> ExitCode {
    match parse(members, called_as, arguments) {
        Request::Run {
            member,
            usage,
            arguments,
        } => (member.main)(&usage, arguments),
        Request::List => print(io::stdout(), &format_list(members), ExitCode::SUCCESS),
        Request::Version => {
            let version = format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"));
            print(io::stdout(), &version, ExitCode::SUCCESS)
        }
        Request::Unknown(name) => {
            let list = format_list(members);
            let message = format!("error: there is no sidecar `{name}`\n\n{list}");
            print(io::stderr(), &message, ExitCode::from(USAGE))
        }
    }
}

fn parse<'a>(members: &'a [Member], called_as: &str, arguments: &'a [String]) -> Request<'a> {
    let find = |name: &str| members.iter().find(|member| member.name == name);
    // A link in a container or a shell may have any folder.
    let base = called_as.rsplit('/').next().unwrap_or(called_as);
    if let Some(member) = find(base) {
        return Request::Run {
            member,
            usage: base.to_owned(),
            arguments,
        };
    }

    let Some((first, rest)) = arguments.split_first() else {
        return Request::List;
    };
    match (first.as_str(), find(first)) {
        (_, Some(member)) => Request::Run {
            member,
            usage: format!("{PROGRAM} {first}"),
            arguments: rest,
        },
        ("help" | "--help" | "-h", None) => Request::List,
        ("version" | "--version" | "-V", None) => Request::Version,
        (name, None) => Request::Unknown(name),
    }
}

fn format_list(members: &[Member]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "{PROGRAM} {version}: all sidecars in one program\n\nUsage: {PROGRAM} SIDECAR [VERB]\n"
    );
    for Member { name, summary, .. } in members {
        let _ = write!(text, "\n  {name:<24} {summary}");
    }

    text.push_str("\n\nA link to this program with the name of a sidecar runs that sidecar.");
    text
}

fn print(mut to: impl Write, text: &str, code: ExitCode) -> ExitCode {
    // Fails only if the reader closed the pipe, such as `head`; there is no other place to report it.
    let _ = writeln!(to, "{text}");
    code
}

/// The name of the program.
const PROGRAM: &str = env!("CARGO_BIN_NAME");
/// The exit code for a wrong command line, as in the sidecars.
const USAGE: u8 = 2;
