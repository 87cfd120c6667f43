//! This machine: one file per program or protocol. Nothing here decides anything.

pub mod accounts;
pub mod apt;
pub mod archive;
pub mod clock;
pub mod entropy;
pub mod exec;
pub mod fs;
pub mod http;
pub mod java;
pub mod kafka;
pub mod loopback;
pub mod names;
pub mod request;
pub mod systemd;
pub mod x509;
