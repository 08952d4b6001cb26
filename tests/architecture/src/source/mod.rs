//! The source as it stands in the repository: [`tree`] (what was read), [`load`] (how), [`mentions`], [`packages`].

pub mod load;
pub mod mentions;
pub mod packages;
pub mod tree;
