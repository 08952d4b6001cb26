//! Pages from another node: taken in and installed ([`install`]), and kept while a transfer is not over ([`kept`]), as far as a
//! mark on the disk says ([`staged`]).

mod install;
mod kept;
pub(crate) mod staged;
