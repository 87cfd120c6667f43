//! Archives built by hand, byte for byte, so that they can be wrong in any way.

pub mod java;
pub mod large;
pub mod pack;
pub mod plugin;
mod tar;
mod zip;

pub use tar::{TarBuilder, TarEntry};
pub use zip::{ZipBuilder, ZipEntry};
