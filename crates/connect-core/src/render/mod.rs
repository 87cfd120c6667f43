//! The exact text of every file we own. Same input, same bytes.

pub mod gateway;
pub mod jks;
pub mod logging;
pub mod properties;
pub mod units;
pub mod worker;
