//! Just enough of Kafka's protocol to ask who is in a group, before a worker of ours is.
//!
//! Kafka's own programs would cost a JVM for each question, and are not part of every workload. Of the
//! crates, `rskafka` leaves groups out on purpose, `rdkafka` needs a C library, and `kafka-protocol` would
//! replace the codec alone (150 lines) with every message in every version (90,000). Whoever needs
//! more than these six requests should take the last one.

mod scram;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connect_core::model::kafka::KafkaAccess;
use connect_core::observation::GroupFacts;
use connect_core::plan::adoption::Question;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use self::scram::Scram;
use self::wire::{
    Api, DESCRIBE_GROUPS, FIND_COORDINATOR, LIST_OFFSETS, METADATA, Reader, SASL_AUTHENTICATE,
    SASL_HANDSHAKE, Writer, check,
};

/// All of a question, brokers that do not answer included.
const PATIENCE: Duration = Duration::from_secs(6);
/// One broker's part of it.
const CONNECT: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_secs(3);
/// Longest answer in bytes; a group of hundreds of members stays well below.
const LONGEST: usize = 8 << 20;

/// Kafka could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// No broker can be reached.
    #[error("cannot connect to broker {broker}")]
    Connect {
        /// `host:port`.
        broker: String,
        /// Reason.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot speak TLS with broker {broker}")]
    Tls {
        /// `host:port`.
        broker: String,
        /// Reason.
        source: rustls::Error,
    },
    /// The connection broke, or the broker is silent.
    #[error("broker {broker} does not answer")]
    Silent {
        /// `host:port`.
        broker: String,
        /// Reason.
        source: io::Error,
    },
    /// A name that no certificate can be for.
    #[error("broker {0} has no usable name")]
    Name(String),
    /// It answers something else than Kafka does.
    #[error("a broker's answer makes no sense")]
    Answer,
    /// The broker says no.
    #[error("cannot {what}: {why}")]
    Refused {
        /// The request.
        what: &'static str,
        /// Kafka's code.
        code: i16,
        /// What it means.
        why: String,
    },
    /// It does not know the password that it asked us for.
    #[error("a broker does not prove that it is Kafka's")]
    Impostor,
}

/// Asks who is in the group, and whether anything was written to its config topic.
///
/// # Errors
///
/// No broker could be asked, or one did not answer everything.
pub fn ask(question: &Question) -> Result<GroupFacts, KafkaError> {
    let end = Instant::now() + PATIENCE;
    let kafka = &question.kafka;
    let mut failure = KafkaError::Answer;
    for broker in &kafka.bootstrap {
        match Broker::open(broker, kafka, end) {
            Ok(mut first) => return first.facts(question, end),
            Err(error) => failure = error,
        }
        if Instant::now() >= end {
            break;
        }
    }
    Err(failure)
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection that Kafka has let us in on.
struct Broker {
    name: String,
    stream: Box<dyn Stream>,
    correlation: i32,
}

impl Broker {
    /// Connects to `host:port`.
    fn open(name: &str, kafka: &KafkaAccess, end: Instant) -> Result<Self, KafkaError> {
        let tcp = connect(name, end).map_err(|source| KafkaError::Connect {
            broker: name.to_owned(),
            source,
        })?;
        let stream: Box<dyn Stream> = match &kafka.tls {
            None => Box::new(tcp),
            Some(authorities) => Box::new(encrypt(name, tcp, authorities)?),
        };
        let mut broker = Self {
            name: name.to_owned(),
            stream,
            correlation: 0,
        };
        broker.log_in(kafka)?;
        Ok(broker)
    }

    fn silent(&self, source: io::Error) -> KafkaError {
        KafkaError::Silent {
            broker: self.name.clone(),
            source,
        }
    }

    /// One request and its answer, without its header.
    fn request(&mut self, api: Api, body: Writer) -> Result<Vec<u8>, KafkaError> {
        self.correlation += 1;
        let header = Writer::default()
            .int16(api.key)
            .int16(api.version)
            .int32(self.correlation)
            .text("kafka-connect-charm");
        let mut message = header.finish();
        message.extend(body.finish());
        let framed = Writer::default().bytes(&message).finish();
        let sent = self.stream.write_all(&framed);
        sent.and_then(|()| self.stream.flush())
            .map_err(|source| self.silent(source))?;
        let mut length = [0; 4];
        let read = self.stream.read_exact(&mut length);
        read.map_err(|source| self.silent(source))?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(KafkaError::Answer);
        }
        let mut answer = vec![0; length];
        let read = self.stream.read_exact(&mut answer);
        read.map_err(|source| self.silent(source))?;
        let mut reader = Reader::new(&answer);
        if reader.int32()? != self.correlation {
            return Err(KafkaError::Answer);
        }
        Ok(answer.split_off(4))
    }

    fn log_in(&mut self, kafka: &KafkaAccess) -> Result<(), KafkaError> {
        let body = Writer::default().text("SCRAM-SHA-512");
        let answer = self.request(SASL_HANDSHAKE, body)?;
        check(Reader::new(&answer).int16()?, "log in")?;
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|_| KafkaError::Answer)?;
        let (mut scram, first) = Scram::begin(&kafka.username, STANDARD.encode(nonce));
        let said = self.authenticate(&first)?;
        let proof = scram.prove(&said, &kafka.password)?;
        let said = self.authenticate(&proof)?;
        if scram.is_genuine(&said) {
            Ok(())
        } else {
            Err(KafkaError::Impostor)
        }
    }

    fn authenticate(&mut self, message: &str) -> Result<String, KafkaError> {
        let body = Writer::default().bytes(message.as_bytes());
        let answer = self.request(SASL_AUTHENTICATE, body)?;
        let mut reader = Reader::new(&answer);
        check(reader.int16()?, "log in")?;
        let _message = reader.text()?;
        Ok(String::from_utf8_lossy(reader.bytes()?).into_owned())
    }

    fn facts(&mut self, question: &Question, end: Instant) -> Result<GroupFacts, KafkaError> {
        let kafka = &question.kafka;
        // The first question ever makes a cluster create the topic that coordinators need: it is put
        // again in a later hook.
        let coordinator = self.coordinator(&question.group)?;
        let members = Self::open(&coordinator, kafka, end)?.members(&question.group)?;
        let written = match self.leader(&question.config_topic)? {
            None => false,
            Some(leader) => Self::open(&leader, kafka, end)?.is_written(&question.config_topic)?,
        };
        Ok(GroupFacts { members, written })
    }

    /// The broker that knows a group's members.
    fn coordinator(&mut self, group: &str) -> Result<String, KafkaError> {
        let body = Writer::default().text(group).int8(0);
        let answer = self.request(FIND_COORDINATOR, body)?;
        let mut reader = Reader::new(&answer);
        let _throttle = reader.int32()?;
        check(reader.int16()?, "find the group's coordinator")?;
        let (_message, _id) = (reader.text()?, reader.int32()?);
        address(&mut reader)
    }

    /// Hosts of a group's members; none of one that does not exist.
    fn members(&mut self, group: &str) -> Result<BTreeSet<String>, KafkaError> {
        let body = Writer::default().int32(1).text(group);
        let answer = self.request(DESCRIBE_GROUPS, body)?;
        let groups = Reader::new(&answer).list(|reader| {
            check(reader.int16()?, "describe the group")?;
            let _described = (
                reader.text()?,
                reader.text()?,
                reader.text()?,
                reader.text()?,
            );
            reader.list(|reader| {
                let _ids = (reader.text()?, reader.text()?);
                let host = reader.text()?;
                let _assigned = (reader.bytes()?, reader.bytes()?);
                Ok(host.trim_start_matches('/').to_owned())
            })
        })?;
        Ok(groups.into_iter().flatten().collect())
    }

    /// The broker that has a topic's first partition; none if there is no such topic.
    fn leader(&mut self, topic: &str) -> Result<Option<String>, KafkaError> {
        const UNKNOWN_TOPIC: i16 = 3;
        let body = Writer::default().int32(1).text(topic).int8(0);
        let answer = self.request(METADATA, body)?;
        let mut reader = Reader::new(&answer);
        let _throttle = reader.int32()?;
        let brokers = reader.list(|reader| {
            let id = reader.int32()?;
            let address = address(reader)?;
            let _rack = reader.text()?;
            Ok((id, address))
        })?;
        let (_cluster, _controller) = (reader.text()?, reader.int32()?);
        let topics = reader.list(|reader| {
            let code = reader.int16()?;
            let (_name, _internal) = (reader.text()?, reader.int8()?);
            let partitions = reader.list(|reader| {
                let (_code, number, leader) = (reader.int16()?, reader.int32()?, reader.int32()?);
                let _replicas = (reader.list(Reader::int32)?, reader.list(Reader::int32)?);
                Ok((number, leader))
            })?;
            Ok((code, partitions))
        })?;
        let Some((code, partitions)) = topics.into_iter().next() else {
            return Err(KafkaError::Answer);
        };
        if code == UNKNOWN_TOPIC {
            return Ok(None);
        }
        check(code, "look at the config topic")?;
        let leader = partitions
            .into_iter()
            .find(|(number, _)| *number == 0)
            .and_then(|(_, leader)| brokers.into_iter().find(|(id, _)| *id == leader));
        match leader {
            Some((_, address)) => Ok(Some(address)),
            None => check(5, "look at the config topic").map(|()| None),
        }
    }

    /// Whether a topic's first partition has ever held anything.
    fn is_written(&mut self, topic: &str) -> Result<bool, KafkaError> {
        let latest = -1;
        let body = Writer::default()
            .int32(-1)
            .int32(1)
            .text(topic)
            .int32(1)
            .int32(0)
            .int64(latest);
        let answer = self.request(LIST_OFFSETS, body)?;
        let offsets = Reader::new(&answer).list(|reader| {
            let _name = reader.text()?;
            reader.list(|reader| {
                let (_number, code) = (reader.int32()?, reader.int16()?);
                check(code, "look at the config topic")?;
                let _time = reader.int64()?;
                reader.int64()
            })
        })?;
        Ok(offsets.into_iter().flatten().any(|offset| offset > 0))
    }
}

/// `host:port` as an answer gives it.
fn address(reader: &mut Reader<'_>) -> Result<String, KafkaError> {
    let host = reader.text()?;
    let port = reader.int32()?;
    Ok(if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    })
}

fn connect(name: &str, end: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    for address in name.to_socket_addrs()? {
        let left = end.saturating_duration_since(Instant::now()).min(CONNECT);
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_read_timeout(Some(SILENCE))?;
                stream.set_write_timeout(Some(SILENCE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn encrypt(
    name: &str,
    tcp: TcpStream,
    authorities: &[Vec<u8>],
) -> Result<StreamOwned<ClientConnection, TcpStream>, KafkaError> {
    let failed = |source| KafkaError::Tls {
        broker: name.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned().map(CertificateDer::from));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    let host = host.trim_matches(['[', ']']).to_owned();
    let server = ServerName::try_from(host).map_err(|_| KafkaError::Name(name.to_owned()))?;
    let connection = ClientConnection::new(Arc::new(config), server).map_err(failed)?;
    Ok(StreamOwned::new(connection, tcp))
}
