//! The pass from a URL to a directory in the store.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Gid, Mode, Uid};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::child::{Leash, Process};
use crate::confine::Confinement;
use crate::contract::Contract;
use crate::digest::Digest;
use crate::download::{PIECES, Piece, ask, download};
use crate::error::{BundleError, Stage};
use crate::limits::Limit;
use crate::options::{Admission, FetchOptions, FileOptions};
use crate::reference::Reference;
use crate::report::{Outcome, Report};
use crate::staged;
use crate::store::{self, BUNDLE, CONTRACT, PATH};
use crate::tree::{self, FILE_MODE};

/// How long the unpacking may go on after the last byte was downloaded.
const REST: Duration = Duration::from_mins(2);

/// A bundle that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of the bytes as served.
    pub digest: Digest,
    /// What it offers.
    pub contract: Contract,
    /// `ETag` of the response, for asking conditionally later.
    pub etag: Option<String>,
    /// `Last-Modified` of the response, likewise.
    pub last_modified: Option<String>,
    /// What held the process that unpacked it; none did where nothing was unpacked.
    pub confinement: Option<Confinement>,
}

/// What came of a URL that serves something acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The bundle is in the store.
    Stored(Stored),
    /// The server says that it still serves what it served last, or the URL is pinned to content
    /// that the store has. Nothing was downloaded, the bundle is in the store.
    Unchanged(Stored),
    /// A valid archive without any entry: the client brings no plugin. Nothing is stored.
    Empty,
}

/// Fetches, checks and unpacks one bundle into the store.
///
/// Needs a tokio runtime with time and IO (a current-thread one will do; hashing has a blocking
/// thread and unpacking a process of its own) and [`crate::install_tls_provider`]. Several may run
/// at once.
///
/// # Guarantees
///
/// The store changes by one rename, after everything is checked and synced. On an error, or when
/// the future is dropped, store and staging are as before (after a drop: as soon as the thread
/// notices). Fetching what the store has is success and changes nothing.
///
/// # Errors
///
/// See [`BundleError`]; [`BundleError::fault`] says whose move it is.
pub async fn fetch(options: FetchOptions) -> Result<Admitted, BundleError> {
    options
        .url
        .check()
        .map_err(|reason| BundleError::Url { reason })?;
    let admission = Admission::from(&options);
    if let Some(pin) = options.url.pin() {
        check_digest(&admission, pin)?;
        if let Ok(contract) = store::load_contract(&options.store, pin) {
            return Ok(Admitted::Unchanged(Stored {
                digest: pin.clone(),
                contract,
                etag: None,
                last_modified: None,
                confinement: None,
            }));
        }
    }
    let total = options.timeouts.total;
    let expired = || BundleError::Timeout {
        authority: options.url.authority(),
        stage: Stage::Total,
        limit: total,
    };
    let deadline = Instant::now() + total;
    let known = Reference::load(&options.store, &options.url);
    let answer = timeout_at(deadline, ask(&options, known.as_ref()))
        .await
        .map_err(|_| expired())??;
    let Some(answer) = answer else {
        return unchanged(&admission, known);
    };
    let _place = timeout_at(deadline, options.places.take())
        .await
        .map_err(|_| expired())?;
    let validators = answer.validators.clone();
    let (sender, receiver) = mpsc::channel(PIECES);
    // From here on the process does not outlive this future.
    let (pass, _leash) = Pass::start(admission)?;
    let pass = tokio::task::spawn_blocking(move || pass.run(receiver));
    let downloaded = timeout_at(deadline, download(answer, &options, sender))
        .await
        .unwrap_or_else(|_| Err(expired()));
    let taken = timeout(REST, pass)
        .await
        .map_err(|_| BundleError::Unpacker {
            what: format!("it was not done {} s after the download", REST.as_secs()),
        })?
        .map_err(|error| BundleError::Internal {
            source: error.into(),
        })?;
    match (downloaded, taken) {
        // The reader only saw the channel close; the download knows why.
        (Err(error), Err(Ended::Lost) | Ok(_)) | (_, Err(Ended::Error(error))) => Err(error),
        (Ok(()), Err(Ended::Lost)) => Err(BundleError::Internal {
            source: "the download ended without its end".into(),
        }),
        (Ok(()), Ok(None)) => Ok(Admitted::Empty),
        (Ok(()), Ok(Some(taken))) => {
            let reference = Reference {
                digest: taken.digest,
                etag: validators.etag,
                last_modified: validators.last_modified,
            };
            reference
                .save(&options.store, &options.url)
                .map_err(BundleError::write("remember", &options.store))?;
            Ok(Admitted::Stored(Stored {
                digest: reference.digest,
                contract: taken.contract,
                etag: reference.etag,
                last_modified: reference.last_modified,
                confinement: Some(taken.confinement),
            }))
        }
    }
}

/// Checks and unpacks one bundle from a file into the store, as [`fetch`] does with a URL's. Whoever
/// names a file of this machine is trusted: there is no list of what is allowed.
///
/// # Guarantees
///
/// Those of [`fetch`]; never [`Admitted::Unchanged`].
///
/// # Errors
///
/// See [`BundleError`]: [`crate::Fault::Content`] and [`crate::Fault::Machine`].
pub async fn admit_file(options: FileOptions) -> Result<Admitted, BundleError> {
    let (sender, receiver) = mpsc::channel(PIECES);
    let most = options.limits.compressed;
    let path = options.path.clone();
    let (pass, _leash) = Pass::start(Admission::from(&options))?;
    let pass = tokio::task::spawn_blocking(move || pass.run(receiver));
    let reading = tokio::task::spawn_blocking(move || read_file(&path, most, &sender));
    let internal = |error: tokio::task::JoinError| BundleError::Internal {
        source: error.into(),
    };
    let (read, taken) = (reading.await, pass.await);
    match (read.map_err(internal)?, taken.map_err(internal)?) {
        (Err(error), Err(Ended::Lost) | Ok(_)) | (_, Err(Ended::Error(error))) => Err(error),
        (Ok(()), Err(Ended::Lost)) => Err(BundleError::Internal {
            source: "the reading ended without its end".into(),
        }),
        (Ok(()), Ok(None)) => Ok(Admitted::Empty),
        (Ok(()), Ok(Some(taken))) => Ok(Admitted::Stored(Stored {
            digest: taken.digest,
            contract: taken.contract,
            etag: None,
            last_modified: None,
            confinement: Some(taken.confinement),
        })),
    }
}

/// Sends a file as a download would be.
fn read_file(path: &Path, most: u64, pieces: &mpsc::Sender<Piece>) -> Result<(), BundleError> {
    const PIECE: u64 = 64 << 10;
    let mut file = fs::File::open(path).map_err(BundleError::write("open", path))?;
    let mut read = 0;
    loop {
        let mut bytes = Vec::new();
        (&mut file)
            .take(PIECE)
            .read_to_end(&mut bytes)
            .map_err(BundleError::write("read", path))?;
        read += bytes.len() as u64;
        let piece = match bytes.is_empty() {
            _ if read > most => return Err(BundleError::TooLarge(Limit::Compressed(most))),
            false => Piece::Bytes(bytes.into()),
            true => Piece::End,
        };
        let ends = matches!(piece, Piece::End);
        // A receiver that is gone has made up its mind.
        if pieces.blocking_send(piece).is_err() || ends {
            return Ok(());
        }
    }
}

fn unchanged(options: &Admission, known: Option<Reference>) -> Result<Admitted, BundleError> {
    let gone = || BundleError::Internal {
        source: "the bundle went while the server was asked".into(),
    };
    let known = known.ok_or_else(gone)?;
    check_digest(options, &known.digest)?;
    let contract = store::load_contract(&options.store, &known.digest).map_err(|_| gone())?;
    Ok(Admitted::Unchanged(Stored {
        digest: known.digest,
        contract,
        etag: known.etag,
        last_modified: known.last_modified,
        confinement: None,
    }))
}

/// Whether the URL and the operator want this content.
fn check_digest(options: &Admission, digest: &Digest) -> Result<(), BundleError> {
    let digest = digest.clone();
    if options.pin.as_ref().is_some_and(|pin| *pin != digest) {
        Err(BundleError::NotPinned { digest })
    } else if options.allowed.digest(&digest) {
        Ok(())
    } else {
        Err(BundleError::NotAllowed { digest })
    }
}

/// Why a pass ended without a result.
enum Ended {
    /// The download failed.
    Lost,
    /// The pass failed by itself.
    Error(BundleError),
}

struct Taken {
    digest: Digest,
    contract: Contract,
    confinement: Confinement,
}

/// The blocking half: hashes, feeds the process, and admits what it made.
struct Pass {
    process: Process,
    /// Deletes itself with everything below, unless what matters was renamed out of it.
    work: TempDir,
    options: Admission,
}

impl Pass {
    fn start(options: Admission) -> Result<(Self, Leash), BundleError> {
        for directory in [&options.store, &options.staging] {
            store::make_store_directory(directory)
                .map_err(BundleError::write("create directory", directory))?;
        }
        let work = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(&options.staging)
            .map_err(BundleError::write(
                "create a directory in",
                &options.staging,
            ))?;
        let item = work.path().join("item");
        tree::make_directory(&item)?;
        tree::make_directory(&item.join(PATH))?;
        let location = item.join(PATH).join(BUNDLE);
        make_workshop(&location, options.unpacker.user)?;
        let (process, leash) = Process::start(&options.unpacker, &location, &options.limits)?;
        let pass = Self {
            process,
            work,
            options,
        };
        Ok((pass, leash))
    }

    /// `None` is a valid archive without entries.
    fn run(mut self, mut pieces: mpsc::Receiver<Piece>) -> Result<Option<Taken>, Ended> {
        let mut hash = Sha256::new();
        loop {
            match pieces.blocking_recv() {
                None => return Err(Ended::Lost),
                Some(Piece::End) => break,
                Some(Piece::Bytes(bytes)) => {
                    // First, so that the process has work while we hash.
                    if !self.process.feed(&bytes) {
                        // Something is wrong with what it read so far: no need for the rest.
                        drop(pieces);
                        return match self.process.finish().map(|report| report.outcome) {
                            Ok(Outcome::Failed(failure)) => Err(Ended::Error(failure.into())),
                            Ok(Outcome::Empty | Outcome::Unpacked(_)) => {
                                Err(Ended::Error(BundleError::Unpacker {
                                    what: "it did not read to the end".to_owned(),
                                }))
                            }
                            Err(error) => Err(Ended::Error(error)),
                        };
                    }
                    hash.update(&bytes);
                }
            }
        }
        let digest = Digest::of(&hash.finalize());
        let report = self.process.finish().map_err(Ended::Error)?;
        admit(report, digest, &self.work, &self.options).map_err(Ended::Error)
    }
}

fn admit(
    report: Report,
    digest: Digest,
    work: &TempDir,
    options: &Admission,
) -> Result<Option<Taken>, BundleError> {
    let store = &options.store;
    let confinement = report.confinement;
    let contract = match report.outcome {
        Outcome::Failed(failure) => return Err(failure.into()),
        Outcome::Empty => return Ok(None),
        Outcome::Unpacked(contract) => contract,
    };
    check_digest(options, &digest)?;
    let item = work.path().join("item");
    let staged = staged::take_over(&item.join(PATH).join(BUNDLE), &options.limits)?;
    let mut contract = contract.checked(&staged)?;
    let rivals = store::rivals(store, &digest, &contract);
    contract.warnings.extend(rivals);
    write_contract(&item.join(CONTRACT), &contract)?;
    store::sync_everything(&item).map_err(BundleError::write("sync", &item))?;
    let aside = work.path().join("replaced");
    let contract = store::admit(&item, &aside, store, &digest, contract)?;
    Ok(Some(Taken {
        digest,
        contract,
        confinement,
    }))
}

/// The directory the process works in: nobody else's until it is done.
fn make_workshop(path: &Path, user: Option<(u32, u32)>) -> Result<(), BundleError> {
    rustix::fs::mkdir(path, Mode::from(0o700))
        .map_err(|error| BundleError::write("create directory", path)(error.into()))?;
    if let Some((user, group)) = user
        && rustix::process::geteuid().is_root()
    {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        rustix::fs::chownat(
            CWD,
            path,
            Some(user),
            Some(group),
            rustix::fs::AtFlags::empty(),
        )
        .map_err(|error| BundleError::write("hand over", path)(error.into()))?;
    }
    Ok(())
}

fn write_contract(path: &Path, contract: &Contract) -> Result<(), BundleError> {
    let failed = |action| BundleError::write(action, path);
    let mut text =
        serde_json::to_vec_pretty(contract).map_err(|error| failed("write file")(error.into()))?;
    text.push(b'\n');
    fs::write(path, text).map_err(failed("write file"))?;
    rustix::fs::chmod(path, Mode::from(FILE_MODE))
        .map_err(|error| failed("set the mode of")(error.into()))
}
