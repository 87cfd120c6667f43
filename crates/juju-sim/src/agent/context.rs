//! stub
use anyhow::Result;
use serde_json::{Map, Value, json};
use super::host::Host;
use super::process::{Call, Reply};
use super::resolver::Hook;
use crate::daemon::state::{State, Task};

pub(super) struct Context { unit: String, name: String, records: Vec<(String, String, String)> }
pub(super) struct Done { pub(super) record: Value, pub(super) storage: Vec<String> }

impl Context {
    pub(super) fn for_hook(_state: &mut State, unit: &str, hook: &Hook) -> Result<Self> {
        Ok(Self { unit: unit.into(), name: hook.name(), records: Vec::new() })
    }
    pub(super) fn for_task(_state: &mut State, unit: &str, _task: &Task) -> Result<Self> {
        Ok(Self { unit: unit.into(), name: String::new(), records: Vec::new() })
    }
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        vec![("JUJU_UNIT_NAME".into(), self.unit.clone()), ("JUJU_HOOK_NAME".into(), self.name.clone()), ("JUJU_CONTEXT_ID".into(), "x".into())]
    }
    pub(super) fn call(&mut self, _state: &mut State, call: &Call, _host: &mut Host) -> (Reply, bool) {
        if call.tool == "juju-log" { self.records.push(("INFO".into(), format!("unit.{}.juju-log", self.unit), call.arguments.join(" "))); }
        (Reply::Answer { code: 0, stdout: Vec::new(), stderr: Vec::new() }, false)
    }
    pub(super) fn log_records(&mut self) -> Vec<(String, String, String)> { std::mem::take(&mut self.records) }
    pub(super) fn statuses(&self) -> Vec<Value> { Vec::new() }
    pub(super) fn action_result(&self) -> (Map<String, Value>, Option<String>) { (Map::new(), None) }
    pub(super) fn commit(self, _state: &mut State) -> std::result::Result<Done, String> { Ok(Done { record: json!({}), storage: Vec::new() }) }
}
