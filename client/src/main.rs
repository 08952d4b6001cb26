//! The program `etebar`. All of it is in the library, under `program`.

use std::process::ExitCode;

fn main() -> ExitCode {
    etebar::program::run()
}
