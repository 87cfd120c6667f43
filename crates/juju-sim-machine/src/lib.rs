//! Light machines made of namespaces over an overlay of the host, with a systemctl stand-in.
