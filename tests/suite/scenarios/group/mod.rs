//! Three real workers of one group through what a cluster lives through.

mod journal;
mod used;
mod workers;

mod roll;
mod scale;
mod users;

use super::model;
