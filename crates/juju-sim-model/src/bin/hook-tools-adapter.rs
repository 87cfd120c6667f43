//! Reads recorded cases as JSON lines and answers them.

use std::io;

fn main() -> io::Result<()> {
    juju_sim_model::conformance::serve(io::stdin().lock(), io::stdout().lock())
}
