//! Every number the gateway lives by, with its unit and its reason.

use std::time::Duration;

/// How often the files are looked at. Half of the promised second, halved again for a slow moment.
pub const FILE_POLL: Duration = Duration::from_millis(250);

/// How often a worker that is not ready is asked for `/health`.
pub const HEALTH_POLL_DOWN: Duration = Duration::from_millis(200);

/// How often a ready worker is asked for `/health`. A restart of a JVM takes longer than this.
pub const HEALTH_POLL_UP: Duration = Duration::from_secs(1);

/// Longest wait for `/health`: the worker itself decides within 10 s.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(12);

/// Pause between two tries of one request.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How long a request of a peer's worker waits for our worker. The peer's gateway has patience of
/// its own, so holding longer would only hide the failure from it.
pub const FORWARD_HOLD: Duration = Duration::from_secs(3);

/// Longest wait for a TCP connection and, to a peer, the TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for the first byte of an answer. The worker gives up by itself after 90 s, and a
/// forwarded request may wait for two workers' scheduling on top.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(100);

/// Longest wait for the answer to the first try of a read: a worker whose group rebalances may never
/// come to a request that it has taken, and answers the next one.
pub const FIRST_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connector is looked at, at least, before a request whose answer got lost is said not
/// to have been applied. What is on its way between two workers arrives within milliseconds.
pub const READ_BACK: Duration = Duration::from_secs(2);

/// How long it is tried to look, at least, where nobody answers: about as long as a group takes to
/// rebalance after one of its workers left.
pub const READ_BACK_UNREADABLE: Duration = Duration::from_secs(10);

/// Longest time without an answer to `/health` in which a worker still counts. The worker answers
/// late while its group rebalances, and then its other answers are late too.
pub const HEALTH_GRACE: Duration = Duration::from_secs(3);

/// How long a unit may hold the group's writes back while its worker stops: twice as long as one
/// takes that has just started its tasks, and within a write's patience (`retry-limit-s`).
pub const HOLD: Duration = Duration::from_secs(20);

/// Longest wait for the writes that are under way when one asks for a hold, and for what follows
/// them: a group that rebalances for each of them takes seconds for one. With a usual stop after it,
/// it is within [`HOLD`].
pub const HOLD_DRAIN: Duration = Duration::from_secs(10);

/// How long a group is without writes before a worker is stopped. What a change of a connector brings
/// about, new configurations of its tasks, is written after the next rebalance: 1.7 s later was seen
/// where members learn of one within a second.
pub const QUIET: Duration = Duration::from_secs(3);

/// Longest silence inside a body, in either direction.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time for the whole of one body, in either direction.
pub const BODY_WHOLE_TIMEOUT: Duration = Duration::from_mins(5);

/// Longest wait for a complete request head, idle keep-alive time included.
pub const HEADER_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest wait for a TLS handshake of a client.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that a socket may refuse to take our bytes.
pub const WRITE_STALL: Duration = Duration::from_mins(1);

/// Largest request head in bytes; hyper answers 431 beyond it.
pub const HEAD_BYTES: usize = 32 * 1024;

/// Most bytes read ahead on one connection.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Most header fields in one request; hyper answers 431 beyond it.
pub const HEADER_FIELDS: usize = 100;

/// Largest body that carries a connector's configuration, in bytes; 413 beyond it. A connector's
/// record in the config topic has the same default limit.
pub const CONFIG_BODY_BYTES: usize = 1024 * 1024;

/// Bodies up to this many bytes are held, so that their request can be sent again; larger ones
/// stream and are sent once.
pub const HELD_BODY_BYTES: usize = 64 * 1024;

/// Largest body that streams, in bytes; 413 beyond it. Offsets and task configurations are the
/// largest legitimate ones.
pub const STREAM_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// How much of a body that is too large is still read, so that its sender reads the refusal.
pub const DISCARDED_BYTES: u64 = 32 * 1024 * 1024;

/// How long a body that is too large is still read.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Most large bodies held at once: bounds memory at about 32 MiB.
pub const LARGE_BODIES_AT_ONCE: usize = 32;

/// Largest answer that is read whole to judge it, in bytes.
pub const JUDGED_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Largest list of connectors that is read whole to cut it to its reader, in bytes: a thousand
/// connectors with 16 KiB of configuration each.
pub const LISTING_BYTES: usize = 16 * 1024 * 1024;

/// Most such lists held at once.
pub const LISTINGS_AT_ONCE: usize = 2;

/// Threads that serve connections; one more looks at files and the worker. A gateway is to leave
/// its machine to the worker.
pub const LANES: usize = 2;

/// How often such a thread wakes though nothing happens.
pub const LANE_TICK: Duration = Duration::from_millis(250);

/// Most connections of one door.
pub const CONNECTIONS: usize = 1024;

/// Most connections of one door from one address.
pub const CONNECTIONS_PER_ADDRESS: usize = 256;

/// Most idle connections kept to one worker or peer.
pub const IDLE_UPSTREAM: usize = 32;

/// Idle connections to a worker are dropped well before the worker drops them (30 s).
pub const IDLE_UPSTREAM_AGE: Duration = Duration::from_secs(10);

/// How long a peer that could not be reached is left alone.
pub const PEER_COOLDOWN: Duration = Duration::from_secs(3);

/// How long a peer that said it is not ready is left alone.
pub const PEER_NOT_READY: Duration = Duration::from_millis(500);

/// How long the log lines of reads wait for more, to be written together.
pub const LOG_DELAY: Duration = Duration::from_millis(20);

/// Most bytes of such lines that wait.
pub const LOG_BYTES: usize = 64 * 1024;

/// Answers up to this many bytes are read whole, so that they are sent in one piece and a read whose
/// answer breaks off is repeated; larger ones stream. All connections together hold 16 MiB of them.
pub const HELD_ANSWER_BYTES: u64 = 16 * 1024;

/// How long an address that left the list of the peer door is still let in. A unit is gone within
/// this time of the others hearing that it leaves; it has the internal credential all the while.
pub const FORMER_PEER: Duration = Duration::from_mins(3);

/// How long no client has to have been served before a unit that is being removed closes its door:
/// several times what a client's hook takes that tells it of the other units.
pub const LEAVE_IDLE: Duration = Duration::from_secs(10);

/// Longest wait for that: a leader that is gone is followed by another within a minute, and no other
/// charm's hook runs on this machine meanwhile.
pub const LEAVE: Duration = Duration::from_secs(90);

/// How long a door that closes still answers on the connections it has, each for a last time.
/// Clients that poll more often than this never find a connection closed on them.
pub const LINGER: Duration = Duration::from_millis(500);

/// Longest time in-flight requests have to finish when the gateway stops: as long as the default
/// patience (`retry-limit-s`), and within what the unit's `TimeoutStopSec` allows.
pub const DRAIN: Duration = Duration::from_secs(27);

/// Failed logins of one address and user that are answered at once.
pub const FREE_FAILURES: u32 = 5;

/// Longest delay of the answer to a failed login.
pub const MAX_LOGIN_DELAY: Duration = Duration::from_secs(2);

/// Failed logins of one address and user that may be waiting for their answer; 429 beyond it.
pub const DELAYED_PER_KEY: u32 = 8;

/// Failed logins of everybody that may be waiting for their answer; 429 beyond it.
pub const DELAYED_IN_ALL: u32 = 256;

/// Earliest answer to a failed login while any password is hashed slowly: else the time would tell
/// which users have one.
pub const FAILED_LOGIN_TIME: Duration = Duration::from_millis(200);

/// Most memory, in KiB, that a stored Argon2id hash may ask for.
pub const ARGON2_KIB: u32 = 64 * 1024;

/// Most passes that a stored Argon2id hash may ask for.
pub const ARGON2_PASSES: u32 = 8;

/// Most lanes that a stored Argon2id hash may ask for; they are computed one after the other.
pub const ARGON2_LANES: u32 = 4;

/// Logins that may wait for a slow hash, the one being computed included; 429 beyond it.
pub const SLOW_LOGINS_WAITING: usize = 16;

/// Most address and user pairs remembered.
pub const REMEMBERED_FAILURES: usize = 4096;

/// How long a failed login is remembered.
pub const FAILURE_MEMORY: Duration = Duration::from_mins(1);

/// Largest settings or users file, in bytes: a thousand users need a quarter of it.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Most passwords accepted for one user at a time.
pub const PASSWORDS_PER_USER: usize = 4;
