//! Databags and secret contents, to and from the model: every wire key is spelled here.

pub mod labels;
