//! A terminal as a user has it: a shell in tmux, typed into and looked at.
//!
//! Each has a tmux server of its own, which dies with the test process, however it ends, and takes its shell along.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::api::caller::unique;
use crate::machine::programs;
use crate::machine::spawner;
use crate::wait::{self, until};

/// What the shell shows when it waits for a command.
const PROMPT: &str = "ready$";

/// A shell in a terminal.
#[derive(Debug)]
pub struct Tmux {
    socket: PathBuf,
    server: Child,
}

impl Tmux {
    /// A shell in a terminal of that many columns and rows, with these settings in its environment.
    #[track_caller]
    pub fn start(size: (u16, u16), settings: &[(&str, &str)]) -> Tmux {
        let socket = std::env::temp_dir().join(unique("etebar-tmux"));
        let mut command = tmux(&socket);
        // The shell's environment is the server's.
        command.env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        command.envs(settings.iter().copied());
        command.arg("-D").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = spawner::spawn(command).unwrap_or_else(|error| {
            panic!("tmux does not start ({error}): install it, interactive verbs are tested in it (Debian: apt-get install tmux)")
        });
        let terminal = Tmux { socket, server };
        until(wait::PATIENCE, "a tmux server", || terminal.try_run(["list-commands"]).status.success().then_some(()));
        let (width, height) = (size.0.to_string(), size.1.to_string());
        let prompt = format!("PS1={PROMPT} ");
        terminal.run(["new-session", "-d", "-x", &width, "-y", &height, "env", &prompt, "sh"]);
        terminal.wait_for(PROMPT);
        terminal
    }

    /// Types a command and Enter.
    #[track_caller]
    pub fn command(&self, line: &str) {
        self.text(line);
        self.keys(&["Enter"]);
    }

    /// Types this text as it is.
    #[track_caller]
    pub fn text(&self, text: &str) {
        self.run(["send-keys", "-l", text]);
    }

    /// Presses these keys, by tmux's names: `a`, `Enter`, `Escape`, `C-c`.
    #[track_caller]
    pub fn keys(&self, keys: &[&str]) {
        self.run(["send-keys"].iter().chain(keys));
    }

    /// Gives the terminal another size, in columns and rows.
    #[track_caller]
    pub fn resize(&self, (width, height): (u16, u16)) {
        self.run(["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// What is seen now.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.run(["capture-pane", "-p"])
    }

    /// What is seen now, with the escape codes of its colours.
    #[track_caller]
    pub fn colours(&self) -> String {
        self.run(["capture-pane", "-p", "-e"])
    }

    /// The screen as soon as it shows this text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?}"), |screen| screen.contains(text))
    }

    /// The screen as soon as it is as it should be.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(wait::PATIENCE, &format!("{what} on the screen"), || {
                last = self.screen();
                is_so(&last).then(|| last.clone())
            })
        }));
        seen.unwrap_or_else(|panic| {
            eprintln!("the screen shows:\n{last}");
            std::panic::resume_unwind(panic)
        })
    }

    fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self.try_run(arguments);
        assert!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn try_run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        tmux(&self.socket).arg("-N").args(arguments).output().expect("tmux starts")
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Each step is for what the one before may have left.
        let _ = self.try_run(["kill-server"]);
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// tmux on a socket of its own, with no configuration but its defaults, and UTF-8 whatever the locale is.
fn tmux(socket: &Path) -> Command {
    let mut command = programs::clean_command("tmux");
    command.args(["-u", "-f", "/dev/null", "-S"]).arg(socket).env_remove("TMUX");
    command
}
