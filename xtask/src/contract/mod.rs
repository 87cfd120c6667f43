//! Holds a charm's YAML files to the rules Juju applies to them.
