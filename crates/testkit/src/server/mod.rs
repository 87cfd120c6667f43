//! An HTTP server on plain sockets and threads that does exactly what it is told, path by path.

mod behaviour;
mod respond;
mod script;
mod tls;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use behaviour::{Behaviour, Body};
pub use script::Script;
use tls::Identity;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Such as GET.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The path without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The first header of this name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a server answers with; asked anew for every request.
pub(crate) type Choose = dyn Fn(&Request) -> Option<Behaviour> + Send + Sync;
/// Told about every request.
type Watch = dyn Fn(&Request) + Send + Sync;

/// The server. It listens until it is dropped.
pub struct MisbehavingServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    identity: Option<Identity>,
}

struct Shared {
    stop: AtomicBool,
    paths: Mutex<BTreeMap<String, (Behaviour, usize)>>,
    requests: Mutex<Vec<Request>>,
    fallback: Option<Box<Choose>>,
    watch: Option<Box<Watch>>,
}

impl MisbehavingServer {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    ///
    /// No port could be bound.
    pub fn start() -> io::Result<Self> {
        Self::serve(TcpListener::bind("127.0.0.1:0")?, None, None, None)
    }

    /// Likewise with TLS, under the name `localhost`, its certificate issued by a CA of its own.
    ///
    /// # Errors
    ///
    /// No port could be bound, or no certificate made.
    pub fn start_tls() -> io::Result<Self> {
        let identity = Identity::new().map_err(io::Error::other)?;
        Self::serve(
            TcpListener::bind("127.0.0.1:0")?,
            Some(identity),
            None,
            None,
        )
    }

    /// Listens on `address` and answers by `script`; `watch` is told about every request.
    ///
    /// # Errors
    ///
    /// The address could not be bound.
    pub fn start_script(
        address: SocketAddr,
        script: Script,
        watch: impl Fn(&Request) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let choose = Box::new(move |request: &Request| script.choose(request));
        Self::serve(
            TcpListener::bind(address)?,
            None,
            Some(choose),
            Some(Box::new(watch)),
        )
    }

    fn serve(
        listener: TcpListener,
        identity: Option<Identity>,
        fallback: Option<Box<Choose>>,
        watch: Option<Box<Watch>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            paths: Mutex::default(),
            requests: Mutex::default(),
            fallback,
            watch,
        });
        let tls = identity.as_ref().map(Identity::config);
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let (Ok(stream), shared, tls) = (stream, Arc::clone(&shared), tls.clone())
                    else {
                        continue;
                    };
                    std::thread::spawn(move || {
                        // A client that goes away in the middle is what many tests are about.
                        drop(shared.connection(stream, tls));
                    });
                }
            })
        };
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
            identity,
        })
    }

    /// Sets what happens at a path, from now on.
    #[expect(
        clippy::must_use_candidate,
        reason = "the answer is only there for chaining"
    )]
    pub fn on(&self, path: &str, behaviour: Behaviour) -> &Self {
        lock(&self.shared.paths).insert(path.to_owned(), (behaviour, 0));
        self
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match self.identity {
            Some(_) => format!("https://localhost:{}{path}", self.address.port()),
            None => format!("http://{}{path}", self.address),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the CA behind a TLS server.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.identity.as_ref().map(Identity::ca_pem)
    }

    /// Everything that was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for MisbehavingServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor out of its wait.
        drop(TcpStream::connect_timeout(
            &self.address,
            Duration::from_secs(1),
        ));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

impl Shared {
    fn connection(
        &self,
        stream: TcpStream,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // A connection that nobody uses any more must not keep its thread.
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let control = stream.try_clone()?;
        match tls {
            None => self.answer(stream, &control),
            Some(config) => {
                let session = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
                self.answer(rustls::StreamOwned::new(session, stream), &control)
            }
        }
    }

    /// One request, one answer, then the connection ends: every test sees a fresh one.
    fn answer(&self, stream: impl Read + Write, control: &TcpStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let request = read_request(&mut stream)?;
        lock(&self.requests).push(request.clone());
        if let Some(watch) = &self.watch {
            watch(&request);
        }
        let behaviour = self.choose(&request);
        let mut out = respond::Out {
            stream: stream.get_mut(),
            control,
            stop: &self.stop,
        };
        respond::respond(&behaviour, &request, &mut out)
    }

    fn choose(&self, request: &Request) -> Behaviour {
        if let Some((behaviour, asked)) = lock(&self.paths).get_mut(request.path()) {
            *asked += 1;
            return behaviour.nth(*asked - 1);
        }
        let fallback = self.fallback.as_ref().and_then(|choose| choose(request));
        fallback.unwrap_or_else(|| Behaviour::status(404))
    }
}

fn read_request(stream: &mut impl BufRead) -> io::Result<Request> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            None => {
                return Ok(Request {
                    method,
                    target,
                    headers,
                });
            }
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
