//! Development only: misbehaving servers and sandboxes for tests.
