//! What the tests stand on.

mod gateway;
mod pki;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::gateway::{CLIENT, Gateway, INTERNAL, OPERATOR, listener, own, user};
pub(crate) use self::pki::Authority;
pub(crate) use self::worker::{Script, Seen, Worker, error};

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn message(&self) -> String {
        let body = self.json();
        assert_eq!(
            body["error_code"],
            u64::from(self.status.as_u16()),
            "{body}"
        );
        body["message"]
            .as_str()
            .expect("errors have a message")
            .to_owned()
    }

    pub(crate) fn waited_ms(&self) -> u64 {
        let value = self.headers.get("x-gateway-waited-ms");
        value.map_or(0, |value| value.to_str().unwrap().parse().unwrap())
    }
}

/// A request to send.
#[derive(Clone)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// As `name:password`.
    pub(crate) fn login(self, login: &str) -> Self {
        self.header("authorization", &basic(login))
    }

    pub(crate) fn json(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("content-type", "application/json")
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    fn build(&self, address: SocketAddr) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path);
        request = request.header("host", address.to_string());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone().into())).unwrap()
    }
}

/// The header that carries `name:password`.
pub(crate) fn basic(login: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(login)
    )
}

/// One kept-alive connection.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
    serial: Option<String>,
}

impl Connection {
    pub(crate) async fn plain(address: SocketAddr) -> std::io::Result<Self> {
        Self::over(address, TcpStream::connect(address).await?).await
    }

    /// From a source address of our choice.
    pub(crate) async fn tls(
        address: SocketAddr,
        from: std::net::IpAddr,
        config: Arc<rustls::ClientConfig>,
    ) -> std::io::Result<Self> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(address).await?;
        Self::encrypted(address, stream, config).await
    }

    pub(crate) async fn secure(
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
    ) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Self::encrypted(address, stream, config).await
    }

    async fn encrypted(
        address: SocketAddr,
        stream: TcpStream,
        config: Arc<rustls::ClientConfig>,
    ) -> std::io::Result<Self> {
        let name = ServerName::IpAddress(address.ip().into());
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await?;
        let (_, session) = stream.get_ref();
        let serial = session
            .peer_certificates()
            .map(|chain| pki::serial(&chain[0]));
        let mut connection = Self::over(address, stream).await?;
        connection.serial = serial;
        Ok(connection)
    }

    /// The serial number of the certificate that was presented.
    pub(crate) fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    pub(crate) async fn over<T>(address: SocketAddr, stream: T) -> std::io::Result<Self>
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self {
            address,
            sender,
            serial: None,
        })
    }

    pub(crate) async fn send(&mut self, ask: &Ask) -> hyper::Result<Got> {
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(ask.build(self.address)).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Got {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        timeout(Duration::from_secs(40), exchange)
            .await
            .expect("every request is answered in time")
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, ask: Ask) -> Got {
    let mut connection = Connection::plain(address).await.expect("the door is open");
    connection
        .send(&ask)
        .await
        .expect("every request is answered")
}
