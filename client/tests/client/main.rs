//! The client from outside: its library and its program, against servers that tests control.

mod fake;
mod formats;
mod import;
mod library;
mod plot;
mod program;
mod promises;
mod review;
mod shop;
mod watch;
