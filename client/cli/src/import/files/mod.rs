//! The files of an import: [`paths`] says where they are, [`input`] is what is charged, [`record`] and [`resume`] are what
//! is known of each line, [`result`] is what became of it.

pub(crate) mod csv_records;
pub(crate) mod input;
pub(crate) mod paths;
pub(crate) mod record;
pub(crate) mod result;
pub(crate) mod resume;
