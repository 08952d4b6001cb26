//! The client from outside: its library and its program, against servers that tests control.

mod bench;
mod fake;
mod foreign;
mod formats;
mod import;
mod library;
mod lies;
mod load;
mod plot;
mod program;
mod promises;
mod reporting;
mod review;
mod shop;
mod watch;
