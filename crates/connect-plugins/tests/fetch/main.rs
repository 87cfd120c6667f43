//! Fetches from a real server on loopback into a real store: formats, hostile content, servers that
//! misbehave, limits, the store's promises.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::format_collect,
    reason = "all of it is tests, and tables are long"
)]

mod asked;
mod confined;
mod corpus;
mod formats;
mod measured;
mod place;
mod servers;
mod stored;
mod verdicts;
