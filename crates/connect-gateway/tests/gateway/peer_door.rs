//! Workers and gateways of other units come in by the peer door, and nobody else.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::{
    Ask, Authority, CLIENT, Connection, Gateway, Got, INTERNAL, Script, Worker, basic, error, until,
};

struct Peer<'a> {
    gateway: &'a Gateway,
    authority: &'a Authority,
}

impl Peer<'_> {
    async fn ask(&self, ask: Ask) -> Got {
        let (address, from) = (self.gateway.peer, self.gateway.peer.ip());
        let mut connection = Connection::tls(address, from, self.authority.client())
            .await
            .unwrap();
        connection.send(&ask).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_kinds_of_request_come_in_and_no_other() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    assert!(gateway.state().peer_door);
    let peer = Peer {
        gateway: &gateway,
        authority: &authority,
    };
    let ask = |method: &str, path: &str| Ask::new(method, path);
    let hop = |method: &str, path: &str| {
        Ask::new(method, path)
            .login(INTERNAL)
            .header("X-Gateway-Hop", "1")
    };
    let signed = |method: &str, path: &str| {
        Ask::new(method, path)
            .header("X-Connect-Authorization", "c2lnbmF0dXJl")
            .header("X-Connect-Request-Signature-Algorithm", "HmacSHA256")
    };
    let refused = [
        (ask("GET", "/connectors?forward=true"), 401),
        (ask("GET", "/connectors?forward=true").login(CLIENT), 401),
        (ask("GET", "/connectors").login(CLIENT), 401),
        (ask("GET", "/connectors").login(INTERNAL), 403),
        (hop("GET", "/connectors?forward=true"), 400),
        (
            ask("GET", "/connectors")
                .login(INTERNAL)
                .header("X-Gateway-Hop", "2"),
            400,
        ),
        (ask("POST", "/connectors/a/tasks").login(INTERNAL), 403),
        (hop("POST", "/connectors/a/tasks"), 403),
        (ask("POST", "/connectors/a/tasks"), 401),
        (signed("POST", "/connectors/a/fence"), 401),
        (signed("PUT", "/connectors/a/tasks"), 401),
        (signed("DELETE", "/connectors/a"), 401),
        (signed("POST", "/connectors/a/tasks;x=y"), 401),
        (ask("GET", "/gateway/writes/hold").login(INTERNAL), 403),
        (hop("POST", "/gateway/writes/held"), 404),
    ];
    let own = ["/gateway/writes/hold", "/gateway/leave"].map(|path| {
        let post = || ask("POST", path);
        [post(), post().login(CLIENT), signed("POST", path)].map(|ask| (ask, 401))
    });
    let refused = refused.into_iter().chain(own.into_iter().flatten());
    for (number, (ask, status)) in refused.enumerate() {
        let got = peer.ask(ask).await;
        assert_eq!(got.status.as_u16(), status, "row {number}");
        assert!(!got.message().is_empty(), "row {number}");
        assert_eq!(
            got.headers.contains_key("www-authenticate"),
            status == 401,
            "row {number}"
        );
    }
    assert_eq!(worker.lines(), Vec::<String>::new());

    assert_eq!(
        peer.ask(ask("DELETE", "/connectors/a?forward=false").login(INTERNAL))
            .await
            .status,
        404
    );
    assert_eq!(peer.ask(hop("GET", "/connectors")).await.status, 200);
    let body = " [ {\"a\" : 1.0} ] ";
    let login = signed("POST", "/connectors/a/tasks")
        .login(INTERNAL)
        .json(body);
    assert_eq!(peer.ask(login).await.status, 200);
    assert_eq!(
        peer.ask(signed("PUT", "/connectors/a/fence")).await.status,
        200
    );
    let seen = worker.seen();
    let lines: Vec<_> = seen.iter().map(crate::support::Seen::line).collect();
    let expect = [
        "DELETE /connectors/a?forward=false",
        "GET /connectors",
        "POST /connectors/a/tasks",
        "PUT /connectors/a/fence",
    ];
    assert_eq!(lines, expect);
    for seen in &seen[..2] {
        assert_eq!(seen.headers["authorization"], basic(INTERNAL));
        assert!(!seen.headers.contains_key("x-gateway-hop"));
    }
    for seen in &seen[2..] {
        let added = seen.headers.contains_key("authorization");
        assert!(!added, "nothing is added to a signed request");
        assert_eq!(seen.headers["x-connect-authorization"], "c2lnbmF0dXJl");
        assert_eq!(
            seen.headers["x-connect-request-signature-algorithm"],
            "HmacSHA256"
        );
    }
    assert_eq!(seen[2].body, body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_ones_that_a_forwarding_worker_passes_on() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let peer = Peer {
        gateway: &gateway,
        authority: &authority,
    };
    let forwarded = || Ask::new("DELETE", "/connectors/a?forward=true").login(INTERNAL);
    let rows = [
        ((503, "<html>".to_owned()), 503),
        ((404, String::new()), 503),
        ((404, r#"{"url":"/","status":"404"}"#.to_owned()), 503),
        ((401, "User cannot access the resource.".to_owned()), 503),
    ];
    for ((status, body), expect) in rows {
        gateway.until("ready", |state| state.worker_healthy).await;
        worker.behave(move |_| Script::Reply(status, body.clone()));
        let got = peer.ask(forwarded()).await;
        assert_eq!(got.status, expect);
        assert!(!got.message().is_empty());
    }
    gateway.until("ready", |state| state.worker_healthy).await;
    worker.behave(|_| {
        error(
            409,
            "Cannot complete request because of a conflicting operation (e.g. worker rebalance)",
        )
    });
    let before = worker.seen().len();
    let got = peer.ask(forwarded()).await;
    assert_eq!(got.status, 409);
    assert_eq!(
        worker.seen().len(),
        before + 1,
        "whoever sent it has patience of its own"
    );
    worker.behave(|_| Script::Reply(401, "User cannot access the resource.".into()));
    let signed = Ask::new("PUT", "/connectors/a/fence").header("X-Connect-Authorization", "x");
    let got = peer.ask(signed).await;
    assert_eq!(got.status, 401);
    assert!(got.headers.contains_key("www-authenticate") && !got.message().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_addresses_and_strangers_do_not_get_in() {
    let authority = Authority::new();
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let config = authority.client();
    let elsewhere = IpAddr::from([127, 0, 0, 77]);
    let refused = match Connection::tls(gateway.peer, elsewhere, config.clone()).await {
        Err(_) => true,
        Ok(mut connection) => connection
            .send(&Ask::new("GET", "/").login(INTERNAL))
            .await
            .is_err(),
    };
    assert!(refused);
    let stranger = Authority::new().client();
    assert!(
        Connection::tls(gateway.peer, gateway.peer.ip(), stranger)
            .await
            .is_err()
    );
    let mut plain = Connection::plain(gateway.peer).await.unwrap();
    assert!(
        plain
            .send(&Ask::new("GET", "/").login(INTERNAL))
            .await
            .is_err(),
        "always TLS"
    );
    assert_eq!(worker.lines(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_without_cutting_anybody_off() {
    let (old, new) = (Authority::new(), Authority::new());
    let worker = Worker::start().await;
    let gateway = Gateway::prepare(worker.address)
        .with_peer_door(&old)
        .start()
        .await;
    let from = gateway.peer.ip();
    let mut kept = Connection::tls(gateway.peer, from, old.client())
        .await
        .unwrap();
    let ask = Ask::new("GET", "/?forward=true").login(INTERNAL);
    assert_eq!(kept.send(&ask).await.unwrap().status, 200);

    // A file that cannot be used leaves the old certificate in place.
    let path = gateway.directory.path().join("peer.pem");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, "nonsense").unwrap();
    gateway
        .until("it says so", |state| {
            state.fault.is_some() && state.peer_door
        })
        .await;
    assert!(
        Connection::tls(gateway.peer, from, old.client())
            .await
            .is_ok()
    );
    std::fs::write(&path, good).unwrap();
    gateway
        .until("it heals", |state| state.fault.is_none())
        .await;

    new.issue(from, gateway.directory.path(), "peer");
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    let mut fresh = loop {
        if let Ok(connection) = Connection::tls(gateway.peer, from, new.client()).await {
            break connection;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "the new certificate is served"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(fresh.send(&ask).await.unwrap().status, 200);
    assert_eq!(
        kept.send(&ask).await.unwrap().status,
        200,
        "the old connection goes on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_unit_serves_while_our_worker_cannot() {
    let authority = Authority::new();
    let (mut near, far) = (Worker::start().await, Worker::start().await);
    let other = Gateway::prepare(far.address)
        .with_peer_door(&authority)
        .start()
        .await;
    let nobody = crate::support::listener(IpAddr::from([127, 0, 0, 1]))
        .local_addr()
        .unwrap();
    let ours = Gateway::prepare(near.address)
        .with_peer_door(&authority)
        .with_peer("connect/9", nobody)
        .with_peer("connect/1", other.peer)
        .start()
        .await;
    assert_eq!(ours.get("/connectors").await.status, 200);
    assert_eq!((near.seen().len(), far.seen().len()), (1, 0));

    near.stop().await;
    let post = Ask::new("PUT", "/connectors/x/config")
        .login(CLIENT)
        .json(r#"{"a":"1"}"#);
    let got = ours.ask(post).await;
    assert_eq!(got.status, 201, "{:?}", got.body);
    assert_eq!(far.config("x").unwrap()["juju.client"], "m:app:1");
    assert!(got.waited_ms() < 2500, "{}", got.waited_ms());

    // The other unit has no second hop: where nobody serves, the answer says so.
    far.set_healthy(false);
    other
        .until("it is seen", |state| !state.worker_healthy)
        .await;
    let got = ours.get("/connectors").await;
    assert_eq!(got.status, 503);
    assert!(got.waited_ms() >= 2500, "{}", got.waited_ms());

    near.start_again().await;
    until("it is seen", || ours.state().worker_healthy).await;
    assert_eq!(ours.get("/connectors").await.status, 200);
}
