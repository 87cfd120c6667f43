//! The plugin that the operator attached as resource `connect-plugin`: a bundle of no client.

use super::{Admit, Bundles, PLUGIN_RESOURCE, in_store, rejected};
use crate::fingerprint;
use crate::limits::RETRY_FETCH_S;
use crate::model::Model;
use crate::model::admission::Terms;
use crate::model::peer::{HeldResource, NO_BUNDLE, Peers};
use crate::observation::{Fetched, Host, Reading};

impl Bundles {
    /// What we hold of the plugin that the operator attached.
    pub(super) fn hold_resource(&mut self, model: &Model<'_>, peers: &Peers) {
        let host = &model.seen.host;
        let mut held = peers.ours.resource.clone();
        let here = held.take_if(|held| in_store(host, &held.digest));
        let none = |source: &str| HeldResource {
            source: source.to_owned(),
            digest: NO_BUNDLE.to_owned(),
            previous: None,
        };
        let resource = match model.seen.resources.get(PLUGIN_RESOURCE) {
            None => None,
            Some(Reading::Unreadable(fault)) => {
                self.resource_fault = Some(fault.clone());
                self.retry_after_s.push(RETRY_FETCH_S);
                None
            }
            Some(Reading::Absent) => {
                self.resource = Some(none(""));
                return;
            }
            Some(Reading::Known(resource)) => Some(resource),
        };
        self.resource = match resource {
            None => here,
            Some(resource) => {
                let source = fingerprint::short(resource.identity.as_bytes());
                match (&model.seen.admitted, here) {
                    _ if resource.bytes == 0 => Some(none(&source)),
                    (_, Some(here)) if here.source == source => Some(here),
                    (Some(Fetched::Stored { digest }), here) if in_store(host, digest) => {
                        let before = here.map(|here| here.digest);
                        Some(HeldResource {
                            previous: before.filter(|it| it != digest && it != NO_BUNDLE),
                            source,
                            digest: digest.clone(),
                        })
                    }
                    (Some(Fetched::Empty), _) => Some(none(&source)),
                    (Some(Fetched::Failed { reason, .. }), here) => {
                        self.fail_resource(reason.clone(), host, model.seen.now, &source);
                        here
                    }
                    (_, here) => {
                        self.want_resource(model, &resource.path, source);
                        here
                    }
                }
            }
        };
        let Some(held) = &mut self.resource else {
            return;
        };
        if peers.ours.loaded.contains(&held.digest) {
            held.previous = None;
        }
        if let Some(cause) = rejected(peers, &held.digest) {
            self.resource_fault = Some(format!("stops the worker: {cause}"));
            self.retry_after_s.push(RETRY_FETCH_S);
            let good =
                |digest: &&String| in_store(host, digest) && rejected(peers, digest).is_none();
            self.wanted
                .extend(held.previous.iter().filter(good).cloned());
        } else if held.digest != NO_BUNDLE {
            self.wanted.insert(held.digest.clone());
        }
    }

    /// A file that was refused stays refused; only this machine may have been at fault.
    fn want_resource(&mut self, model: &Model<'_>, path: &str, source: String) {
        let host = &model.seen.host;
        let terms = self.terms.as_ref().map(Terms::fingerprint);
        let refused = host.asked.get(&source).and_then(|asked| {
            let failed = asked.failed.as_ref().filter(|failed| failed.lasting)?;
            (Some(&asked.terms) == terms.as_ref()).then(|| failed.reason.clone())
        });
        if let Some(reason) = refused {
            self.resource_fault = Some(reason);
        } else if let Some((reason, wait_s)) = self.waits(host, model.seen.now, &source) {
            self.resource_fault = Some(reason);
            self.retry_after_s.push(wait_s);
        } else {
            self.admit = Some(Admit {
                path: path.to_owned(),
                source,
            });
        }
    }

    fn fail_resource(&mut self, reason: String, host: &Host, now: u64, source: &str) {
        let lasting = host
            .asked
            .get(source)
            .and_then(|asked| asked.failed.as_ref())
            .is_some_and(|failed| failed.lasting);
        if !lasting {
            let known = self.waits(host, now, source);
            let wait_s = known.map_or(RETRY_FETCH_S, |(_, wait_s)| wait_s);
            self.retry_after_s.push(wait_s);
        }
        self.resource_fault = Some(reason);
    }
}

/// A healthy worker that was started with the attached plugin and does not list its classes.
pub(super) fn unlisted(model: &Model<'_>, bundles: &Bundles) -> Option<String> {
    let host = &model.seen.host;
    let held = bundles.resource.as_ref()?;
    let worker = model.seen.worker.known().filter(|worker| worker.healthy)?;
    let started = host.started.as_ref()?;
    let bundle = host.bundles.get(&held.digest)?;
    if !started.plugins.contains(&held.digest) {
        return None;
    }
    let class = bundle.classes.difference(&worker.plugin_classes).next()?;
    Some(format!("the worker cannot load {class}"))
}
