//! The stand-in for the worker's JVM as a program, to be `bin/java` of a runtime that is none.
//!
//! `testkit-worker JVM_OPTIONS... MAIN_CLASS WORKER_PROPERTIES`: serves until it is killed.

use std::process::ExitCode;

use testkit::StubWorker;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match StubWorker::start(&arguments) {
        Ok(worker) => {
            worker.serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("testkit-worker: {error}");
            ExitCode::FAILURE
        }
    }
}
