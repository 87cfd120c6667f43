//! The daemon that owns Kafka Connect's REST port.
