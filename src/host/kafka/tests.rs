//! Against a broker that speaks just enough, and one that speaks nonsense.

#![expect(
    clippy::unwrap_in_result,
    reason = "a fake that is misspoken to ends its test"
)]

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use connect_core::secret::Secret;
use ring::{digest, hmac, pbkdf2};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;

const PASSWORD: &str = "pass,word=1";
const ROUNDS: u32 = 4096;

/// What a broker knows, and how it misbehaves.
#[derive(Clone, Debug, Default)]
struct Script {
    /// Hosts of members.
    members: Vec<&'static str>,
    /// Next offset of the config topic; none without a topic.
    offset: Option<i64>,
    /// How often the coordinator is not there yet.
    late: usize,
    /// Its name for itself has another password.
    is_impostor: bool,
    /// Answers to this request are cut short.
    cuts: Option<i16>,
    /// Claims an answer of 2 GiB.
    boasts: bool,
    /// The user may not read the group.
    forbids: bool,
}

struct Fake {
    address: SocketAddr,
    authority: Option<Vec<u8>>,
}

impl Fake {
    fn start(script: Script, encrypted: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let made = encrypted.then(|| {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let der = made.cert.der().clone();
            let key =
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![der.clone()], key)
                .unwrap();
            (der.to_vec(), Arc::new(config))
        });
        let authority = made.as_ref().map(|(der, _)| der.clone());
        let asked = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let Ok(tcp) = tcp else { return };
                let (script, asked) = (script.clone(), asked.clone());
                let config = made.as_ref().map(|(_, config)| config.clone());
                std::thread::spawn(move || {
                    let served = match config {
                        None => serve(tcp, address, &script, &asked),
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            let stream = StreamOwned::new(connection, tcp);
                            serve(stream, address, &script, &asked)
                        }
                    };
                    // The client closes when it knows enough.
                    drop(served);
                });
            }
        });
        Self { address, authority }
    }

    fn ask(&self) -> Result<GroupFacts, KafkaError> {
        self.ask_with(PASSWORD)
    }

    fn ask_with(&self, password: &str) -> Result<GroupFacts, KafkaError> {
        ask(&Question {
            group: "g".to_owned(),
            config_topic: "g-configs".to_owned(),
            kafka: KafkaAccess {
                bootstrap: vec![self.address.to_string()],
                username: "a=b,c".to_owned(),
                password: Secret::new(password.to_owned()),
                tls: self.authority.clone().map(|der| vec![der]),
            },
        })
    }
}

fn hmac_of(key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

/// The server's side of SCRAM: what it says first, and then its judgement of the proof.
struct Server {
    bare: String,
    said: String,
}

impl Server {
    fn begin(first: &str) -> Self {
        let bare = first.strip_prefix("n,,").unwrap().to_owned();
        assert!(bare.starts_with("n=a=3Db=2Cc,r="), "{bare}");
        let nonce = bare.split_once(",r=").unwrap().1;
        let said = format!("r={nonce}more,s={},i={ROUNDS}", STANDARD.encode("salt"));
        Self { bare, said }
    }

    /// Its own signature, if the proof is one of the password.
    fn judge(&self, last: &str, is_impostor: bool) -> Option<String> {
        let mut salted = vec![0; digest::SHA512_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            NonZeroU32::new(ROUNDS).unwrap(),
            b"salt",
            PASSWORD.as_bytes(),
            &mut salted,
        );
        let (without, proof) = last.split_once(",p=").unwrap();
        let signed = format!("{},{},{without}", self.bare, self.said);
        let stored = digest::digest(&digest::SHA512, &hmac_of(&salted, "Client Key"));
        let signature = hmac_of(stored.as_ref(), &signed);
        let key: Vec<u8> = STANDARD
            .decode(proof)
            .unwrap()
            .iter()
            .zip(signature)
            .map(|(one, other)| one ^ other)
            .collect();
        let proven = digest::digest(&digest::SHA512, &key).as_ref() == stored.as_ref();
        let server = hmac_of(&salted, if is_impostor { "?" } else { "Server Key" });
        proven.then(|| format!("v={}", STANDARD.encode(hmac_of(&server, &signed))))
    }
}

fn serve(
    mut stream: impl Read + Write,
    address: SocketAddr,
    script: &Script,
    asked: &AtomicUsize,
) -> io::Result<()> {
    let mut conversation: Option<Server> = None;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut message)?;
        let mut reader = Reader::new(&message);
        let (key, _version) = (reader.int16().unwrap(), reader.int16().unwrap());
        let correlation = reader.int32().unwrap();
        assert_eq!(reader.text().unwrap(), "kafka-connect-charm");
        let head = Writer::default().int32(correlation);
        let here = |writer: Writer| {
            writer
                .text(&address.ip().to_string())
                .int32(i32::from(address.port()))
        };
        let answer = match key {
            17 => head.int16(0).int32(1).text("SCRAM-SHA-512"),
            36 => {
                let said = String::from_utf8(reader.bytes().unwrap().to_vec()).unwrap();
                let answer = match &conversation {
                    None => Some(conversation.insert(Server::begin(&said)).said.clone()),
                    Some(server) => server.judge(&said, script.is_impostor),
                };
                match answer {
                    Some(text) => head.int16(0).int16(-1).bytes(text.as_bytes()),
                    None => head.int16(58).text("no").bytes(b""),
                }
            }
            10 => {
                let late = asked.fetch_add(1, Ordering::SeqCst) < script.late;
                let head = head.int32(0).int16(if late { 15 } else { 0 });
                here(head.int16(-1).int32(1))
            }
            15 => {
                let code = if script.forbids { 30 } else { 0 };
                let group = head.int32(1).int16(code).text("g").text("Stable");
                let group = group.text("connect").text("sessioned");
                let count = i32::try_from(script.members.len()).unwrap();
                script
                    .members
                    .iter()
                    .fold(group.int32(count), |group, host| {
                        let member = group.text("id").text("client").text(host);
                        member.bytes(b"metadata").bytes(b"")
                    })
            }
            3 => {
                let broker = here(head.int32(0).int32(1).int32(1)).int16(-1);
                let topic = broker.int16(-1).int32(1).int32(1);
                if script.offset.is_none() {
                    topic.int16(3).text("g-configs").int8(0).int32(0)
                } else {
                    let topic = topic.int16(0).text("g-configs").int8(0).int32(1);
                    let partition = topic.int16(0).int32(0).int32(1);
                    partition.int32(1).int32(1).int32(1).int32(1)
                }
            }
            2 => {
                let topic = head.int32(1).text("g-configs").int32(1).int32(0);
                topic.int16(0).int64(-1).int64(script.offset.unwrap())
            }
            other => panic!("request {other}"),
        };
        let mut answer = answer.finish();
        if script.cuts == Some(key) {
            answer.truncate(answer.len() / 2 + 3);
        }
        let mut framed = Writer::default().bytes(&answer).finish();
        if script.boasts && key == 15 {
            framed[0] = 0x7f;
        }
        stream.write_all(&framed)?;
        stream.flush()?;
    }
}

#[test]
fn a_group_is_told_of_with_its_members_and_its_topic() {
    let rows = [
        (vec![], None, &[][..], false),
        (vec![], Some(0), &[], false),
        (vec![], Some(3), &[], true),
        (
            vec!["/10.0.0.9", "/10.0.0.8", "/10.0.0.9"],
            Some(3),
            &["10.0.0.8", "10.0.0.9"],
            true,
        ),
        (
            vec!["/fd00:0:0:0:0:0:0:1"],
            None,
            &["fd00:0:0:0:0:0:0:1"],
            false,
        ),
    ];
    for (members, offset, expected, written) in rows {
        for encrypted in [false, true] {
            let script = Script {
                members: members.clone(),
                offset,
                ..Script::default()
            };
            let facts = Fake::start(script, encrypted).ask().unwrap();
            let found: Vec<&str> = facts.members.iter().map(String::as_str).collect();
            assert_eq!((found.as_slice(), facts.written), (expected, written));
        }
    }
}

#[test]
fn a_coordinator_that_is_still_being_made_is_asked_for_again_later() {
    let script = Script {
        late: 1,
        ..Script::default()
    };
    let fake = Fake::start(script, false);
    let early = fake.ask().unwrap_err().to_string();
    assert!(
        early.starts_with("cannot find the group's coordinator: "),
        "{early}"
    );
    assert_eq!(fake.ask().unwrap(), GroupFacts::default());
}

#[test]
fn what_speaks_against_an_answer_is_said_and_holds_no_password() {
    let good = || Script {
        offset: Some(1),
        members: vec!["/10.0.0.9"],
        ..Script::default()
    };
    let cut = |api| Script {
        cuts: Some(api),
        ..good()
    };
    let rows = [
        (
            Script {
                is_impostor: true,
                ..good()
            },
            "a broker does not prove that it is Kafka's",
        ),
        (
            Script {
                forbids: true,
                ..good()
            },
            "cannot describe the group: the group may not be read by our user",
        ),
        (
            Script {
                boasts: true,
                ..good()
            },
            "a broker's answer makes no sense",
        ),
        (cut(36), "a broker's answer makes no sense"),
        (cut(10), "a broker's answer makes no sense"),
        (cut(15), "a broker's answer makes no sense"),
        (cut(3), "a broker's answer makes no sense"),
        (cut(2), "a broker's answer makes no sense"),
    ];
    for (script, expected) in rows {
        let shown = format!("{script:?}");
        let error = Fake::start(script, false).ask().unwrap_err();
        assert_eq!(error.to_string(), expected, "{shown}");
    }
    let error = Fake::start(good(), false).ask_with("wrong").unwrap_err();
    let expected = "cannot log in: our user or password is refused";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_broker_with_a_certificate_of_somebody_else_is_not_talked_to() {
    let mut fake = Fake::start(Script::default(), true);
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fake.authority = Some(other.cert.der().to_vec());
    let error = fake.ask().unwrap_err();
    assert!(matches!(error, KafkaError::Silent { .. }), "{error:?}");
}

#[test]
fn the_next_broker_is_asked_when_one_is_down() {
    let fake = Fake::start(Script::default(), false);
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut question = Question {
        group: "g".to_owned(),
        config_topic: "g-configs".to_owned(),
        kafka: KafkaAccess {
            bootstrap: vec![closed.to_string(), fake.address.to_string()],
            username: "a=b,c".to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
            tls: None,
        },
    };
    assert!(ask(&question).is_ok());
    question.kafka.bootstrap.truncate(1);
    let error = ask(&question).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot connect to broker {closed}")
    );
}
