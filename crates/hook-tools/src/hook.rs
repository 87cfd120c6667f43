//! Why the process runs.

use crate::context::ContextError;

/// A hook, an action, or commands given to `juju-exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `install`.
    Install,
    /// `leader-elected`.
    LeaderElected,
    /// `leader-settings-changed` (Juju 3.6 and older).
    LeaderSettingsChanged,
    /// `config-changed`.
    ConfigChanged,
    /// `start`: also after the machine rebooted.
    Start,
    /// `upgrade-charm`: a new charm revision or resource.
    UpgradeCharm,
    /// `update-status`.
    UpdateStatus,
    /// `stop`.
    Stop,
    /// `remove`.
    Remove,
    /// `<endpoint>-relation-created`.
    RelationCreated(Relation),
    /// `<endpoint>-relation-joined`.
    RelationJoined(Relation),
    /// `<endpoint>-relation-changed`.
    RelationChanged(Relation),
    /// `<endpoint>-relation-departed`.
    RelationDeparted {
        /// The relation.
        relation: Relation,
        /// `JUJU_DEPARTING_UNIT`: our own name when we are the one that leaves.
        departing_unit: String,
    },
    /// `<endpoint>-relation-broken`.
    RelationBroken(Relation),
    /// `<storage>-storage-attached`.
    StorageAttached {
        /// `JUJU_STORAGE_ID`.
        id: String,
    },
    /// `<storage>-storage-detaching`.
    StorageDetaching {
        /// `JUJU_STORAGE_ID`.
        id: String,
    },
    /// `secret-changed`.
    SecretChanged(SecretEvent),
    /// `secret-rotate`.
    SecretRotate(SecretEvent),
    /// `secret-expired`.
    SecretExpired(SecretEvent),
    /// `secret-remove`: a revision that nobody tracks any more.
    SecretRemove(SecretEvent),
    /// An action.
    Action {
        /// `JUJU_ACTION_NAME`.
        name: String,
        /// `JUJU_ACTION_UUID`.
        id: String,
    },
    /// Any other hook, those of a later Juju and of our own wake-ups included.
    Other {
        /// Its name.
        name: String,
    },
}

/// The relation a hook is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Endpoint name (`JUJU_RELATION`).
    pub endpoint: String,
    /// The number in `JUJU_RELATION_ID`.
    pub id: u32,
    /// `JUJU_REMOTE_APP`, if given.
    pub remote_application: Option<String>,
    /// `JUJU_REMOTE_UNIT`, if given.
    pub remote_unit: Option<String>,
}

/// The secret a hook is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEvent {
    /// `JUJU_SECRET_ID`: its URI.
    pub uri: String,
    /// `JUJU_SECRET_LABEL`, if it has one.
    pub label: Option<String>,
    /// `JUJU_SECRET_REVISION`, given for expired and removed revisions.
    pub revision: Option<u64>,
}

impl Hook {
    /// Reads `JUJU_DISPATCH_PATH` (else `JUJU_HOOK_NAME`) and what belongs to it.
    ///
    /// A hook that names no relation, secret or storage although its kind needs one is
    /// [`Hook::Other`]: it is not an error, for a charm can always reconcile.
    ///
    /// # Errors
    ///
    /// Neither variable is set.
    pub fn read(get: &impl Fn(&str) -> Option<String>) -> Result<Self, ContextError> {
        let path = get("JUJU_DISPATCH_PATH")
            .or_else(|| get("JUJU_HOOK_NAME"))
            .ok_or(ContextError::Missing("JUJU_DISPATCH_PATH"))?;
        if let Some(name) = path.strip_prefix("actions/") {
            return Ok(Self::Action {
                name: name.to_owned(),
                id: get("JUJU_ACTION_UUID").unwrap_or_default(),
            });
        }
        let name = path.strip_prefix("hooks/").unwrap_or(&path);
        Ok(Self::plain(name)
            .or_else(|| Self::of_secret(name, get))
            .or_else(|| Self::of_relation(name, get))
            .or_else(|| Self::of_storage(name, get))
            .unwrap_or_else(|| Self::Other {
                name: name.to_owned(),
            }))
    }

    fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "install" => Self::Install,
            "leader-elected" => Self::LeaderElected,
            "leader-settings-changed" => Self::LeaderSettingsChanged,
            "config-changed" => Self::ConfigChanged,
            "start" => Self::Start,
            "upgrade-charm" => Self::UpgradeCharm,
            "update-status" => Self::UpdateStatus,
            "stop" => Self::Stop,
            "remove" => Self::Remove,
            _ => return None,
        })
    }

    fn of_secret(name: &str, get: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let event = || {
            Some(SecretEvent {
                uri: get("JUJU_SECRET_ID")?,
                label: get("JUJU_SECRET_LABEL"),
                revision: get("JUJU_SECRET_REVISION").and_then(|text| text.parse().ok()),
            })
        };
        match name {
            "secret-changed" => event().map(Self::SecretChanged),
            "secret-rotate" => event().map(Self::SecretRotate),
            "secret-expired" => event().map(Self::SecretExpired),
            "secret-remove" => event().map(Self::SecretRemove),
            _ => None,
        }
    }

    fn of_relation(name: &str, get: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let (_, kind) = name.rsplit_once("-relation-")?;
        let relation = || {
            let id = get("JUJU_RELATION_ID")?;
            let (endpoint, id) = id.rsplit_once(':')?;
            Some(Relation {
                endpoint: endpoint.to_owned(),
                id: id.parse().ok()?,
                remote_application: get("JUJU_REMOTE_APP"),
                remote_unit: get("JUJU_REMOTE_UNIT"),
            })
        };
        match kind {
            "created" => relation().map(Self::RelationCreated),
            "joined" => relation().map(Self::RelationJoined),
            "changed" => relation().map(Self::RelationChanged),
            "departed" => relation().map(|relation| Self::RelationDeparted {
                relation,
                departing_unit: get("JUJU_DEPARTING_UNIT").unwrap_or_default(),
            }),
            "broken" => relation().map(Self::RelationBroken),
            _ => None,
        }
    }

    fn of_storage(name: &str, get: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let (_, kind) = name.rsplit_once("-storage-")?;
        let id = get("JUJU_STORAGE_ID")?;
        match kind {
            "attached" => Some(Self::StorageAttached { id }),
            "detaching" => Some(Self::StorageDetaching { id }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Hook {
        let get = |name: &str| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Hook::read(&get).unwrap()
    }

    #[test]
    fn every_hook_name_is_understood() {
        let rows: [(&str, Hook); 10] = [
            ("install", Hook::Install),
            ("leader-elected", Hook::LeaderElected),
            ("leader-settings-changed", Hook::LeaderSettingsChanged),
            ("config-changed", Hook::ConfigChanged),
            ("start", Hook::Start),
            ("upgrade-charm", Hook::UpgradeCharm),
            ("update-status", Hook::UpdateStatus),
            ("stop", Hook::Stop),
            ("remove", Hook::Remove),
            (
                "post-series-upgrade",
                Hook::Other {
                    name: "post-series-upgrade".to_owned(),
                },
            ),
        ];
        for (name, expected) in rows {
            assert_eq!(
                read(&[("JUJU_DISPATCH_PATH", &format!("hooks/{name}"))]),
                expected
            );
        }
    }

    #[test]
    fn a_relation_hook_names_its_relation_even_when_the_endpoint_looks_like_a_hook() {
        let hook = read(&[
            ("JUJU_DISPATCH_PATH", "hooks/a-relation-b-relation-departed"),
            ("JUJU_RELATION_ID", "a-relation-b:10"),
            ("JUJU_REMOTE_APP", "remote"),
            ("JUJU_REMOTE_UNIT", "remote/1"),
            ("JUJU_DEPARTING_UNIT", "kc/0"),
        ]);
        let relation = Relation {
            endpoint: "a-relation-b".to_owned(),
            id: 10,
            remote_application: Some("remote".to_owned()),
            remote_unit: Some("remote/1".to_owned()),
        };
        let departing_unit = "kc/0".to_owned();
        assert_eq!(
            hook,
            Hook::RelationDeparted {
                relation,
                departing_unit
            }
        );
    }

    #[test]
    fn secrets_storage_and_actions_carry_what_they_are_about() {
        let secret = read(&[
            ("JUJU_DISPATCH_PATH", "hooks/secret-remove"),
            ("JUJU_SECRET_ID", "secret:d2c7user000000000000"),
            ("JUJU_SECRET_REVISION", "2"),
        ]);
        let event = SecretEvent {
            uri: "secret:d2c7user000000000000".to_owned(),
            label: None,
            revision: Some(2),
        };
        assert_eq!(secret, Hook::SecretRemove(event));
        let storage = [
            ("JUJU_DISPATCH_PATH", "hooks/plugins-storage-attached"),
            ("JUJU_STORAGE_ID", "plugins/3"),
        ];
        assert_eq!(
            read(&storage),
            Hook::StorageAttached {
                id: "plugins/3".to_owned()
            }
        );
        let action = [
            ("JUJU_DISPATCH_PATH", "actions/restart"),
            ("JUJU_ACTION_UUID", "7"),
        ];
        let expected = Hook::Action {
            name: "restart".to_owned(),
            id: "7".to_owned(),
        };
        assert_eq!(read(&action), expected);
    }

    #[test]
    fn a_hook_without_what_it_is_about_is_just_another_hook() {
        for name in [
            "a-relation-changed",
            "secret-changed",
            "x-storage-attached",
            "pebble-ready",
        ] {
            let hook = read(&[("JUJU_DISPATCH_PATH", &format!("hooks/{name}"))]);
            assert_eq!(
                hook,
                Hook::Other {
                    name: name.to_owned()
                }
            );
        }
    }
}
