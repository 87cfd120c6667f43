//! The misbehaving server as a program, for machines that scenarios make.
//!
//! `testkit-server FOLDER_OR_SCRIPT [ADDRESS:PORT]`: prints its URL as the first line, then a line
//! per request, and serves until it is killed. The default address is a free port of loopback.
//!
//! A script is JSON, read again at each request:
//! `{"/plugin.tar": {"do": "sequence", "steps": [{"do": "status", "code": 404}, {"do": "ok", "body": {"file": "plugin.tar"}}]}}`

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use testkit::{MisbehavingServer, Script};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(place), address, None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: testkit-server FOLDER_OR_SCRIPT [ADDRESS:PORT]");
        return ExitCode::from(2);
    };
    let address = address.as_deref().unwrap_or("127.0.0.1:0");
    let Ok(address) = address.parse::<SocketAddr>() else {
        eprintln!("cannot take `{address}` for an address and port");
        return ExitCode::from(2);
    };
    let show = |line: String| {
        let mut out = std::io::stdout().lock();
        // Whoever started us may have stopped listening; serving goes on.
        drop(writeln!(out, "{line}").and_then(|()| out.flush()));
    };
    let started = MisbehavingServer::start_script(address, Script::new(place), move |request| {
        show(format!("{} {}", request.method, request.target));
    });
    match started {
        Ok(server) => {
            show(server.url("/"));
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
