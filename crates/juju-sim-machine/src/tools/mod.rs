//! The programs of systemd that charms call, as far as they do.

pub(crate) mod journalctl;
pub(crate) mod notify;
pub(crate) mod systemctl;
