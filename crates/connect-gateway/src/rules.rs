//! Who may use which route when clients see only their own connectors: the whole table.
//!
//! What is not in it is closed: a method that no release serves on a route goes to nobody but
//! operators, who get the worker's 405.

use hyper::Method;

use crate::target::Route;

/// What it takes to use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// To be let in: nothing in the answer belongs to a client.
    Anybody,
    /// To be let in; the answer is a list of which everybody sees his part.
    Listing,
    /// To be let in; the connector becomes the caller's.
    Creation,
    /// To have created the connector in the path, or to see all.
    Owner,
    /// The same; a connector that is not there is created.
    Replacement,
    /// To see all.
    All,
    /// To be a worker, which signs it.
    Worker,
    /// Nobody uses what no release serves.
    Nobody,
}

/// The rule for a request of the client door.
#[must_use]
pub fn rule(method: &Method, route: Route) -> Rule {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match route {
        Route::Root | Route::Health | Route::Plugins | Route::PluginConfig if reads => {
            Rule::Anybody
        }
        Route::Validate if reads || *method == Method::PUT => Rule::Anybody,
        Route::Connectors => match *method {
            Method::GET | Method::HEAD => Rule::Listing,
            Method::POST => Rule::Creation,
            Method::OPTIONS => Rule::Anybody,
            _ => Rule::All,
        },
        Route::Config if *method == Method::PUT => Rule::Replacement,
        Route::Tasks if *method == Method::POST => Rule::Worker,
        Route::Fence => Rule::Worker,
        Route::Connector
        | Route::Config
        | Route::Status
        | Route::Restart
        | Route::Pause
        | Route::Resume
        | Route::Stop
        | Route::Tasks
        | Route::TasksConfig
        | Route::TaskStatus
        | Route::TaskRestart
        | Route::Topics
        | Route::TopicsReset
        | Route::Offsets => Rule::Owner,
        Route::Root
        | Route::Health
        | Route::Plugins
        | Route::PluginConfig
        | Route::Validate
        | Route::Loggers
        | Route::Logger => Rule::All,
        Route::Unknown => Rule::Nobody,
    }
}
