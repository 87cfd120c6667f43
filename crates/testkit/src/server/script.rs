//! Behaviours from a file or a folder, for servers that run as a program of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::behaviour::{Behaviour, Body};
use super::{Request, lock};

/// A folder whose files are served under their names, or a JSON file that maps paths to
/// [`Behaviour`]s. Either is read again at each request, so a running server can be told otherwise
/// by writing a file; a file that cannot be read or understood answers 500 with the reason.
pub struct Script {
    place: PathBuf,
    /// How often each path was asked, for sequences.
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Script {
    /// From a folder or a JSON file.
    #[must_use]
    pub fn new(place: impl Into<PathBuf>) -> Self {
        Self {
            place: place.into(),
            asked: Mutex::default(),
        }
    }

    pub(crate) fn choose(&self, request: &Request) -> Option<Behaviour> {
        if self.place.is_dir() {
            let name = request.path().trim_start_matches('/');
            let clean = !name.is_empty() && name.split('/').all(|part| !part.starts_with('.'));
            let file = self.place.join(name);
            return (clean && file.is_file()).then(|| Behaviour::Ok {
                body: Body::File(file),
                headers: Vec::new(),
            });
        }
        let mut script = match self.read() {
            Ok(script) => script,
            Err(reason) => {
                return Some(Behaviour::Status {
                    code: 500,
                    body: Some(Body::Text(reason)),
                });
            }
        };
        let path = request.path();
        let mut asked = lock(&self.asked);
        let count = asked.entry(path.to_owned()).or_default();
        let mut behaviour = script.remove(path)?.nth(*count);
        *count += 1;
        resolve(
            &mut behaviour,
            self.place.parent().unwrap_or_else(|| Path::new(".")),
        );
        Some(behaviour)
    }

    fn read(&self) -> Result<BTreeMap<String, Behaviour>, String> {
        let text = std::fs::read(&self.place).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    }
}

/// Relative files start at the script's folder.
fn resolve(behaviour: &mut Behaviour, folder: &Path) {
    match behaviour {
        Behaviour::Ok { body, .. }
        | Behaviour::Tagged { body, .. }
        | Behaviour::Status {
            body: Some(body), ..
        }
        | Behaviour::CloseMidBody { body, .. }
        | Behaviour::StallMidBody { body, .. }
        | Behaviour::Trickle { body, .. }
        | Behaviour::ContentLength { body, .. }
        | Behaviour::Chunked { body, .. }
        | Behaviour::ChunkedCut { body, .. }
        | Behaviour::UntilClose { body }
        | Behaviour::Gzipped { body }
        | Behaviour::Endless { body }
        | Behaviour::Basic { body, .. } => {
            if let Body::File(path) = body {
                *path = folder.join(&*path);
            }
        }
        Behaviour::Status { body: None, .. }
        | Behaviour::Redirect { .. }
        | Behaviour::RedirectChain { .. }
        | Behaviour::RedirectLoop
        | Behaviour::CloseBeforeHead
        | Behaviour::StallBeforeHead
        | Behaviour::StallBeforeBody
        | Behaviour::ChunkedGarbage
        | Behaviour::Empty
        | Behaviour::NoContent
        | Behaviour::Garbage
        | Behaviour::EndlessHead
        | Behaviour::Sequence { .. } => {}
    }
}
