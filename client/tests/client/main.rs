//! The client from outside: its library and its program, against servers that tests control.

mod fake;
mod formats;
mod library;
mod program;
mod review;
mod watch;
