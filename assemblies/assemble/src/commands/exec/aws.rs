//! Runs a command in a container on AWS, with ECS Exec.

use super::Arguments;
use crate::commands::remote::{self, Reach};
use crate::error::CliError;
use crate::ui::Ui;

/// Runs the command and returns the exit code of the session; Systems Manager does not report that of the command.
pub(super) fn run(arguments: &Arguments, reach: &Reach, ui: &Ui) -> Result<u8, CliError> {
    let command = quote(&arguments.command);
    if is_shell(&arguments.command) {
        ui.message("images that `assemble images build` makes have no shell; if the session ends at once, run the program of the image");
    }

    remote::run_session(
        reach,
        &arguments.container,
        &arguments.aws,
        ui,
        async |target, connection| Ok(target.execute(connection, &command).await?),
    )
}

/// Returns the words as one line, as ExecuteCommand takes it.
fn quote(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte);
        if !word.is_empty() && word.bytes().all(is_plain) {
            return word.clone();
        }
        format!("'{}'", word.replace('\'', "'\\''"))
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn is_shell(command: &[String]) -> bool {
    let program = command
        .first()
        .map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    matches!(program, "sh" | "bash" | "ash" | "dash" | "zsh")
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_with_spaces_and_quotes_stay_words() {
        let words = ["sh", "-c", "echo it's", ""].map(str::to_owned);
        assert_eq!(quote(&words), "sh -c 'echo it'\\''s' ''");
    }
}
