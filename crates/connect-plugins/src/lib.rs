//! Fetches, checks and unpacks a client's plugin bundle in one streaming pass.
