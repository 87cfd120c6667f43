//! A gateway with its files in a temporary directory.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;

use connect_core::gateway::{
    Access, ClientDoor, ClientTls, Credential, LogLevel, Peer, PeerDoor, Protocol, Settings, State,
    TlsVersion, User, Users, Worker,
};
use connect_gateway::door::Inherited;
use connect_gateway::files::{fingerprint, replace};
use connect_gateway::service;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Ask, Authority, Got, send, until};

pub(crate) const INTERNAL: &str = "internal:secret between units";
pub(crate) const CLIENT: &str = "relation-1:client pass:word ü";
pub(crate) const OPERATOR: &str = "admin:operator";

/// A listener on a port that nobody else has.
pub(crate) fn listener(address: IpAddr) -> TcpListener {
    TcpListener::bind((address, 0)).unwrap()
}

/// As `name:password`.
pub(crate) fn user(login: &str, owner: Option<&str>) -> User {
    let (name, password) = login.split_once(':').unwrap();
    User {
        name: name.into(),
        passwords_sha256: vec![fingerprint(password.as_bytes())],
        passwords_argon2id: Vec::new(),
        owner: owner.map(str::to_owned),
        access: Access::All,
    }
}

/// The same for a client that sees its own connectors only.
pub(crate) fn own(login: &str, owner: &str) -> User {
    User {
        access: Access::Own,
        ..user(login, Some(owner))
    }
}

pub(crate) struct Gateway {
    pub(crate) directory: TempDir,
    pub(crate) settings: Settings,
    pub(crate) client: SocketAddr,
    pub(crate) peer: SocketAddr,
    listeners: Vec<TcpListener>,
    stop: Option<mpsc::Sender<service::Command>>,
    pub(crate) running: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Files and listeners, but nothing running.
    pub(crate) fn prepare(worker: SocketAddr) -> Self {
        connect_gateway::install_tls_provider();
        let directory = TempDir::new().unwrap();
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let listeners = vec![listener(loopback), listener(loopback)];
        let [client, peer] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (username, password) = INTERNAL.split_once(':').unwrap();
        let internal = Credential {
            username: username.into(),
            password: password.into(),
        };
        let settings = Settings {
            client_door: ClientDoor {
                listen: vec![client],
                protocol: Protocol::Http,
                tls: None,
            },
            peer_door: None,
            worker: Worker {
                address: worker,
                internal,
                internal_other: None,
            },
            peers: Vec::new(),
            retry_limit_ms: 3000,
            metrics: None,
            log_level: LogLevel::Info,
            users_file: path("users.json"),
            state_file: path("state.json"),
        };
        let gateway = Self {
            directory,
            settings,
            client,
            peer,
            listeners,
            stop: None,
            running: None,
        };
        gateway.write_users(
            "one",
            vec![user(CLIENT, Some("m:app:1")), user(OPERATOR, None)],
        );
        gateway.write_settings();
        gateway
    }

    /// Adds a peer door with a certificate of this authority.
    pub(crate) fn with_peer_door(mut self, authority: &Authority) -> Self {
        authority.issue(self.peer.ip(), self.directory.path(), "peer");
        self.write_ca(&[authority]);
        let path = |name: &str| self.path(name);
        self.settings.peer_door = Some(PeerDoor {
            listen: vec![self.peer],
            certificate_file: path("peer.pem"),
            key_file: path("peer.key"),
            ca_file: path("ca.pem"),
            allowed: vec![self.peer.ip()],
        });
        self.write_settings();
        self
    }

    fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    /// Trusts these in other units from now on.
    pub(crate) fn write_ca(&self, authorities: &[&Authority]) {
        let text: String = authorities.iter().map(|one| one.pem()).collect();
        replace(&self.directory.path().join("ca.pem"), text.as_bytes()).unwrap();
    }

    /// Issues a certificate for the client door.
    pub(crate) fn client_tls(&self, authority: &Authority) -> ClientTls {
        authority.issue(self.client.ip(), self.directory.path(), "client");
        ClientTls {
            certificate_file: self.path("client.pem"),
            key_file: self.path("client.key"),
            minimum_version: TlsVersion::V12,
        }
    }

    /// Lets the client door speak TLS only.
    pub(crate) fn with_https(mut self, authority: &Authority) -> Self {
        self.settings.client_door.tls = Some(self.client_tls(authority));
        self.settings.client_door.protocol = Protocol::Https;
        self.write_settings();
        self
    }

    pub(crate) fn with_peer(mut self, unit: &str, address: SocketAddr) -> Self {
        self.settings.peers.push(Peer {
            unit: unit.into(),
            address,
        });
        self.write_settings();
        self
    }

    /// Starts it and waits until its door is open; the worker may be ready or not.
    pub(crate) async fn open(self) -> Self {
        let gateway = self.run();
        gateway
            .until("the door is open", |state| state.client_door)
            .await;
        gateway
    }

    /// Starts it.
    pub(crate) fn run(mut self) -> Self {
        let (stop, commands) = mpsc::channel(1);
        let path = self.settings_path();
        let inherited = Inherited::new(std::mem::take(&mut self.listeners)).unwrap();
        let running = tokio::spawn(async move {
            service::run(&path, inherited, commands, |_| {})
                .await
                .unwrap();
        });
        (self.stop, self.running) = (Some(stop), Some(running));
        self
    }

    /// Starts it and waits until the worker counts.
    pub(crate) async fn start(self) -> Self {
        let gateway = self.open().await;
        gateway
            .until("the worker is ready", |state| state.worker_healthy)
            .await;
        gateway
    }

    pub(crate) fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) fn settings_path(&self) -> PathBuf {
        self.directory.path().join("gateway.json")
    }

    pub(crate) fn users_path(&self) -> PathBuf {
        PathBuf::from(&self.settings.users_file)
    }

    /// Whether they are other settings than before.
    pub(crate) fn write_settings(&self) -> bool {
        let path = self.settings_path();
        let text = serde_json::to_vec(&self.settings).unwrap();
        let changed = std::fs::read(&path).ok().as_ref() != Some(&text);
        replace(&path, &text).unwrap();
        changed
    }

    pub(crate) fn write_users(&self, generation: &str, users: Vec<User>) {
        let users = Users {
            generation: generation.into(),
            users,
        };
        replace(&self.users_path(), &serde_json::to_vec(&users).unwrap()).unwrap();
    }

    pub(crate) fn state(&self) -> State {
        let text = std::fs::read(&self.settings.state_file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        until(what, || holds(&self.state())).await;
    }

    /// One request to the client door.
    pub(crate) async fn ask(&self, ask: Ask) -> Got {
        send(self.client, ask).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.ask(Ask::new("GET", path).login(CLIENT)).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}
