//! Every number the core decides by, with its unit and its reason.

/// Longest wait, in seconds, for the gateway to serve a users file: it looks every second, and a
/// hook must not wait longer than ten.
pub const AWAIT_USERS_S: u64 = 5;
/// Seconds until a plugin download is tried again: plugin servers come up minutes after the
/// relation, and a hook costs little.
pub const RETRY_FETCH_S: u64 = 30;
/// Longest wait in seconds between two tries of a download that keeps failing.
pub const RETRY_FETCH_MOST_S: u64 = 600;
/// Longest time in seconds between two looks at a plugin that changed with each look before; each
/// change restarts workers.
pub const CHECK_MOST_S: u64 = 86_400;
/// Seconds after which a unit asks again for a plugin of which another one has different content.
pub const AGREE_S: u64 = 60;
/// Seconds until a step that failed is tried again.
pub const RETRY_STEP_S: u64 = 60;
/// Seconds within which a worker with something new has to become healthy; measured starts take up
/// to 18 s, on a machine that starts three at once.
pub const START_S: u64 = 180;
/// Largest heap, in MiB, whose worker can use an archive of its classes: beyond 32 GiB Java's
/// references to objects are of another kind.
pub const ARCHIVED_HEAP_MIB: u64 = 31 << 10;
/// A list of fewer classes is that of a worker that has just begun to start.
pub const ARCHIVED_CLASSES: u32 = 3000;
/// Seconds without a healthy answer after which a worker counts as down and may restart outside its
/// turn: a group waits this long for one of its members (`rebalance.timeout.ms`), and answers nobody
/// meanwhile.
pub const DOWN_S: u64 = 60;
/// Seconds until a worker that is not healthy is looked at again, for the cause in its log, and
/// until a secret that could not be read is.
pub const LOOK_AGAIN_S: u64 = 15;
/// Seconds for which the worker that leads the group leaves the others the time to want a turn: all
/// units learn of a change at about the same time, and that worker comes last.
pub const GATHER_S: u64 = 5;
/// Seconds until tasks that have to run again after a restart are looked at again.
pub const LOOK_AT_TASKS_S: u64 = 3;
/// How many times as long as the group has to rest a restart waits for that at most: clients that
/// change connectors all the time rebalance it all the time.
pub const UNREST_RESTS: u64 = 4;
/// Seconds until what must not happen in the minting hook is done in the next one.
pub const NEXT_HOOK_S: u64 = 2;
/// Seconds until unfinished deletions of connectors are tried again.
pub const RETRY_DELETE_S: u64 = 10;
/// How long, in seconds, a client's old password works after a rotation: clients read the new
/// revision in their `secret-changed` hook, which may wait behind a slow hook of theirs.
pub const ROTATION_GRACE_S: u64 = 600;
/// How long, in seconds, the client door answers http and https after clients were told to change:
/// they read it in a hook of theirs, as after a rotation.
pub const SWITCH_GRACE_S: u64 = 600;
/// How long, in seconds, a certificate of a CA that is new to clients waits after they were told of
/// it. A client's hook runs within a second or two when nothing else is queued; the certificate has
/// to be seen within 30 s.
pub const CA_SPREAD_S: u64 = 12;
/// Part of a certificate's lifetime, in percent, after which the next one is asked for; a unit's
/// number makes it up to 9 less, so that units do not change together.
pub const RENEW_PERCENT: u64 = 80;
/// Least age, in seconds, at which a certificate is renewed: a provider that issues some that have
/// all but ended must not be asked without end.
pub const RENEW_LEAST_S: u64 = 60;
/// From how many seconds on something is too far off to be woken for: hooks come every few minutes.
pub const FAR_S: u64 = 86_400;
/// Longest common name in a certificate, in characters (X.520).
pub const COMMON_NAME_LENGTH: usize = 64;
/// Longest wait, in seconds, when the worker is stopped for good; measured stops take 1 to 4 s.
pub const STOP_WAIT_S: u64 = 10;
/// Characters of a generated password: more than 190 bits of `[A-Za-z0-9]`.
pub const PASSWORD_LENGTH: usize = 32;
/// Fewest characters of a password that an operator chose; NIST SP 800-63B asks for as many.
pub const CHOSEN_PASSWORD_LENGTH: usize = 8;
/// What a chosen password's Argon2id hash costs: KiB of memory, passes, lanes. OWASP's first choice
/// for those with little memory; some tens of milliseconds.
pub const ARGON2: (u32, u32, u32) = (19_456, 2, 1);
/// Bytes of salt of a hash, as RFC 9106 recommends.
pub const SALT_BYTES: usize = 16;
/// Longest status message in characters; `juju status` cuts longer ones.
pub const STATUS_LENGTH: usize = 120;
/// Longest cause of trouble, in characters, that a unit tells the others.
pub const CAUSE_LENGTH: usize = 300;
/// Longest client-made text, in characters, that is repeated in a fault.
pub const QUOTED_LENGTH: usize = 60;
/// The worker's only listener, on loopback.
pub const WORKER_PORT: u16 = 18083;
/// Seconds systemd waits for the worker to stop; its own upper bound is about 95.
pub const WORKER_STOP_S: u32 = 150;
/// Seconds systemd waits for the gateway to stop: it gives requests that are under way 27.
pub const GATEWAY_STOP_S: u32 = 30;
/// Pause in milliseconds before systemd starts a gateway that ended again: whoever connects
/// meanwhile waits for as long.
pub const GATEWAY_RESTART_PAUSE_MS: u32 = 250;
/// How often the gateway may start within [`GATEWAY_START_INTERVAL_S`]: far more than upgrades and
/// accidents need, far less than a program that cannot run would.
pub const GATEWAY_STARTS: u32 = 30;
/// The budget's interval, in seconds.
pub const GATEWAY_START_INTERVAL_S: u64 = 60;
/// Connections that wait for a gateway that restarts, for each address: as many as it serves.
pub const GATEWAY_BACKLOG: u32 = 1024;
/// Heap in MiB for a profile other than production.
pub const SMALL_HEAP_MIB: u64 = 256;
/// Smallest and largest automatic heap in MiB for production; more is asked for explicitly.
pub const HEAP_MIB: (u64, u64) = (512, 8192);
