//! Relations and their databags.

use std::collections::BTreeMap;

use crate::tools::{ToolError, Tools};

type Databag = BTreeMap<String, String>;

impl Tools {
    /// `relation-ids`: the ids of an endpoint's relations, in numerical order (Juju sorts them as
    /// text).
    ///
    /// # Errors
    ///
    /// Juju's failure.
    pub fn relation_ids(&self, endpoint: &str) -> Result<Vec<u32>, ToolError> {
        let ids: Vec<String> = self.json("relation-ids", &[endpoint])?;
        let number = |id: &String| {
            id.rsplit_once(':')
                .and_then(|(_, number)| number.parse().ok())
        };
        let mut ids: Vec<u32> = ids.iter().filter_map(number).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// `relation-list`: the remote units.
    ///
    /// # Errors
    ///
    /// The relation is gone.
    pub fn relation_units(&self, endpoint: &str, id: u32) -> Result<Vec<String>, ToolError> {
        self.json("relation-list", &["-r", &format!("{endpoint}:{id}")])
    }

    /// `relation-list --app`: the remote application.
    ///
    /// # Errors
    ///
    /// The relation is gone.
    pub fn relation_application(&self, endpoint: &str, id: u32) -> Result<String, ToolError> {
        self.json(
            "relation-list",
            &["-r", &format!("{endpoint}:{id}"), "--app"],
        )
    }

    /// `relation-get`: the whole databag of a unit (`kafka/0`) or application (`kafka`).
    ///
    /// # Errors
    ///
    /// The relation is gone, or we may not read that databag.
    pub fn relation_data(&self, endpoint: &str, id: u32, of: &str) -> Result<Databag, ToolError> {
        let relation = format!("{endpoint}:{id}");
        let mut arguments = vec!["-r", relation.as_str()];
        if !of.contains('/') {
            arguments.push("--app");
        }
        arguments.extend(["-", of]);
        let bag: Option<Databag> = self.json("relation-get", &arguments)?;
        Ok(bag.unwrap_or_default())
    }

    /// `relation-set`: changes keys of our unit's databag; `None` removes a key. Buffered until the
    /// hook exits 0.
    ///
    /// # Errors
    ///
    /// The relation is gone.
    pub fn set_unit_data(
        &self,
        endpoint: &str,
        id: u32,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ToolError> {
        self.set_data(endpoint, id, &[], changes)
    }

    /// `relation-set --app`: as [`Tools::set_unit_data`] for the application's databag; leader only.
    ///
    /// # Errors
    ///
    /// The relation is gone, or we are not the leader.
    pub fn set_application_data(
        &self,
        endpoint: &str,
        id: u32,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ToolError> {
        self.set_data(endpoint, id, &["--app"], changes)
    }

    fn set_data(
        &self,
        endpoint: &str,
        id: u32,
        scope: &[&str],
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ToolError> {
        // Through standard input: an argument is bounded and visible. JSON is YAML.
        let values: BTreeMap<&str, &str> = changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref().unwrap_or("")))
            .collect();
        let input = serde_json::json!(values).to_string();
        let relation = format!("{endpoint}:{id}");
        let mut arguments = vec!["-r", relation.as_str()];
        arguments.extend(scope);
        arguments.extend(["--file", "-"]);
        self.run("relation-set", &arguments, Some(input.as_bytes()))
            .map(drop)
    }
}
