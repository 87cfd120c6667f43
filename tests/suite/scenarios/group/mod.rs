//! Three real workers of one group through what a cluster lives through.

mod journal;
mod workers;

mod users;

use super::model;
