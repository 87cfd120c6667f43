//! Right and wrong passwords: what they cost, and whom.

use std::time::Duration;

use connect_core::gateway::User;
use tokio::time::Instant;

use crate::support::{Ask, CLIENT, Gateway, OPERATOR, Worker, send, until, user};

/// A user whose password is `password`, hashed slowly: of the reference implementation's own tests.
fn slow_user(name: &str) -> User {
    let hash =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    User {
        passwords_sha256: Vec::new(),
        passwords_argon2id: vec![hash.into()],
        ..user(&format!("{name}:"), None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chosen_password_works_and_a_wrong_one_does_not_tell_whose_is_chosen() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address);
    gateway.write_users("slow", vec![slow_user("human"), user(CLIENT, None)]);
    let gateway = gateway.start().await;
    let ask = |login| gateway.ask(Ask::new("GET", "/").login(login));
    for login in ["human:password", CLIENT, "human:password"] {
        assert_eq!(ask(login).await.status, 200, "{login}");
    }
    for login in ["human:wrong", "human:", "relation-1:wrong", "nobody:wrong"] {
        let began = Instant::now();
        assert_eq!(ask(login).await.status, 401, "{login}");
        let least = connect_gateway::limits::FAILED_LOGIN_TIME;
        assert!(began.elapsed() >= least, "{login}: {:?}", began.elapsed());
    }
    gateway.write_users("without", vec![user(CLIENT, None)]);
    gateway
        .until("the human is out", |state| {
            state.users_generation == "without"
        })
        .await;
    assert_eq!(ask("human:password").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_printable_character_works_in_a_password() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address);
    let ascii: String = (' '..='~').collect();
    let passwords = [
        ascii.as_str(),
        ":",
        "::a:",
        " ",
        "pä\u{df}wörd €",
        "密码🔑",
        "\"'\\%00",
    ];
    let logins: Vec<String> = passwords
        .iter()
        .enumerate()
        .map(|(number, password)| format!("user-{number}:{password}"))
        .collect();
    gateway.write_users(
        "odd",
        logins.iter().map(|login| user(login, None)).collect(),
    );
    let gateway = gateway.start().await;
    for login in &logins {
        let got = gateway.ask(Ask::new("GET", "/").login(login)).await;
        assert_eq!(got.status, 200, "{login}");
        let got = gateway
            .ask(Ask::new("GET", "/").login(&format!("{login}x")))
            .await;
        assert_eq!(got.status, 401, "{login}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_gets_slow_for_the_guesser_only() {
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address).start().await;
    let guess = || Ask::new("GET", "/connectors").login("relation-1:guess");
    for _ in 0..7 {
        assert_eq!(gateway.ask(guess()).await.status, 401);
    }
    let began = Instant::now();
    assert_eq!(gateway.ask(guess()).await.status, 401);
    assert!(
        began.elapsed() >= Duration::from_millis(400),
        "{:?}",
        began.elapsed()
    );
    // Many at once are turned away, but the right password of the same user is let in by then.
    let address = gateway.client;
    let guesses: Vec<_> = (0..12)
        .map(|_| tokio::spawn(send(address, guess())))
        .collect();
    let began = Instant::now();
    assert_eq!(
        gateway
            .ask(Ask::new("GET", "/").login(OPERATOR))
            .await
            .status,
        200
    );
    assert!(
        began.elapsed() < Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    let mut statuses = Vec::new();
    for guess in guesses {
        statuses.push(guess.await.unwrap().status.as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(statuses.contains(&401), "{statuses:?}");
    assert_eq!(
        gateway.get("/").await.status,
        200,
        "the right password is never late"
    );
    until("only the right ones arrived", || worker.seen().len() == 2).await;
}
