//! Fetches one bundle by hand: `fetch URL FOLDER` puts it into `FOLDER/plugins` and prints what it
//! offers.

use std::error::Error;
use std::path::PathBuf;

use connect_plugins::{Admitted, FetchOptions, SafeUrl, fetch, install_tls_provider};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(folder)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        return Err("usage: fetch URL FOLDER".into());
    };
    install_tls_provider();
    let url = SafeUrl::parse(&url).map_err(|reason| format!("cannot use the URL: {reason}"))?;
    let options = FetchOptions::new(url, folder.join("plugins"), folder.join("staging"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(fetch(options)) {
        Ok(Admitted::Empty) => println!("no plugin"),
        Ok(Admitted::Stored(stored)) => {
            println!("{}", stored.digest);
            println!("{}", serde_json::to_string_pretty(&stored.contract)?);
        }
        Err(error) => {
            let mut line = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                line.extend([": ".to_owned(), cause.to_string()]);
                source = cause.source();
            }
            return Err(line.into());
        }
    }
    Ok(())
}
