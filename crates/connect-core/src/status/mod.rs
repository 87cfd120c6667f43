//! Every status a unit can show, and which one wins.

pub mod catalogue;
mod choose;

pub use catalogue::Id;
pub(crate) use choose::shorten;
pub use choose::{choose, notes};

/// Something found while planning that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its entry in the catalogue.
    pub id: Id,
    /// Values for the entry's template; no secret.
    pub values: Vec<(&'static str, String)>,
}

impl Finding {
    /// A finding without values.
    #[must_use]
    pub const fn bare(id: Id) -> Self {
        Self {
            id,
            values: Vec::new(),
        }
    }

    /// A finding with values.
    #[must_use]
    pub fn new<const N: usize>(id: Id, values: [(&'static str, &str); N]) -> Self {
        Self {
            id,
            values: values.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }
}
