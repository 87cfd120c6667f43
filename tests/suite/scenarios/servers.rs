//! Plugin servers in the network of a model, which answer as told.

use std::fs::File;
use std::path::PathBuf;
use std::process::Child;

use serde_json::Value;

use super::model::{Model, built};

/// Servers on one address, one for each port that was started. They end when this is dropped.
pub(super) struct Servers {
    pub(super) folder: PathBuf,
    address: String,
    running: Vec<Child>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Servers {
    /// None yet.
    pub(super) fn new(model: &Model) -> Self {
        let shown = model.sim(&["network", "--", "ip", "-o", "-4", "addr", "show", "br0"]);
        let address = shown.split_whitespace().nth(3).unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        Self {
            folder: model.folder(),
            address,
            running: Vec::new(),
        }
    }

    pub(super) fn authority(&self, port: u16) -> String {
        format!("{}:{port}", self.address)
    }

    pub(super) fn start(&mut self, model: &Model, port: u16) {
        let script = self.folder.join("script.json");
        let authority = self.authority(port);
        let server = built("tools/testkit-server");
        let words = [server.as_str(), script.to_str().unwrap(), &authority];
        let mut log = File::options();
        let log = log.create(true).append(true).open(self.log(port)).unwrap();
        self.running
            .push(model.start_in_network(&words, log.into()));
    }

    /// Ends every server: who asks now is refused the connection.
    pub(super) fn stop(&mut self) {
        for mut server in self.running.drain(..) {
            // It may have ended with an error of its own.
            drop(server.kill());
            drop(server.wait());
        }
    }

    fn log(&self, port: u16) -> PathBuf {
        self.folder.join(format!("server-{port}.log"))
    }

    /// How often a path was asked for at a port.
    pub(super) fn asked(&self, port: u16, path: &str) -> usize {
        let log = std::fs::read_to_string(self.log(port)).unwrap();
        let line = format!("GET {path}");
        log.lines().filter(|asked| *asked == line).count()
    }

    /// What every server does with each path, from now on.
    pub(super) fn answer<'a>(&self, behaviours: impl IntoIterator<Item = (&'a str, Value)>) {
        let script: serde_json::Map<String, Value> = behaviours
            .into_iter()
            .map(|(path, behaviour)| (path.to_owned(), behaviour))
            .collect();
        let new = self.folder.join("script.new");
        std::fs::write(&new, Value::Object(script).to_string()).unwrap();
        std::fs::rename(new, self.folder.join("script.json")).unwrap();
    }
}
