//! The client from outside: its library and its program, against servers that tests control.

mod fake;
mod formats;
mod import;
mod library;
mod lies;
mod plot;
mod program;
mod reporting;
mod review;
mod shop;
mod watch;
