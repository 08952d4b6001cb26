//! `etebar completions`: what makes a shell complete verbs and options.

use clap::CommandFactory;
use clap_complete::aot::{Bash, Fish, Zsh, generate};

use crate::arguments::{Arguments, Shell};
use crate::output;
use crate::output::error::CliError;

pub(crate) fn print(shell: Shell) -> Result<(), CliError> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(Fish, &mut command, name, &mut script),
    }
    let script = String::from_utf8(script).map_err(|error| CliError::local(format!("not UTF-8: {error}")))?;
    output::write(&script).map(drop)
}
