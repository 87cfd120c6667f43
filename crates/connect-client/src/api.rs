//! The REST calls a requirer makes.
//!
//! Every call returns what Kafka Connect answered (status code and JSON), whatever the status is:
//! what a 404 or 409 means is the caller's to judge. Only when nobody answered is there an error.
//!
//! *Failing over:* a connection that could not be opened carried no request, so the next endpoint
//! is tried for every verb. Once a request was sent, only reads go on to the next endpoint; a write
//! whose answer was lost is reported as [`NoAnswer::Lost`], for it may have been applied.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;

use crate::answer::Access;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a whole answer: the gateway itself retries for up to 25 s.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(35);

/// What Kafka Connect answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// The body; `Null` if it was empty or no JSON.
    pub body: Value,
}

impl Reply {
    /// Whether the status is 2xx.
    #[must_use]
    pub const fn ok(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Kafka Connect's own error message, if it sent one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.body.get("message").and_then(Value::as_str)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No endpoint accepted a connection; nothing was applied.
    #[error("cannot reach Kafka Connect at any of {endpoints} endpoints")]
    Unreachable {
        /// How many endpoints were tried.
        endpoints: usize,
        /// What the last one said.
        source: reqwest::Error,
    },
    /// The request was sent, its answer never came: it may or may not have been applied.
    #[error("cannot tell what became of the request: the answer was lost")]
    Lost {
        /// What happened.
        source: reqwest::Error,
    },
}

/// Why the API cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The CA in the answer is not a certificate.
    #[error("cannot use the CA that Kafka Connect shared")]
    Ca(#[source] reqwest::Error),
    /// The HTTP client cannot be built.
    #[error("cannot build an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The runtime cannot be started.
    #[error("cannot start the HTTP runtime")]
    Runtime(#[source] std::io::Error),
}

/// Kafka Connect's REST API as one user.
#[derive(Debug)]
pub struct Api {
    access: Access,
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Api {
    /// Prepares to talk to the endpoints of `access`; opens no connection yet.
    ///
    /// Proxies of the environment are not used: the endpoints are neighbours.
    ///
    /// # Errors
    ///
    /// The provider's CA cannot be parsed, or the machine lacks what an HTTP client needs.
    pub fn new(access: Access) -> Result<Self, ApiError> {
        let mut builder = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = &access.ca {
            let ca = reqwest::Certificate::from_pem_bundle(ca.as_bytes()).map_err(ApiError::Ca)?;
            builder = builder.tls_certs_only(ca);
        }
        let client = builder.build().map_err(ApiError::Client)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ApiError::Runtime)?;
        Ok(Self {
            access,
            client,
            runtime,
        })
    }

    /// Creates a connector or updates its configuration: `PUT /connectors/{name}/config`.
    /// 201 created, 200 updated, 400 refused.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn register(&self, name: &str, config: &Value) -> Result<Reply, NoAnswer> {
        self.call(&Method::PUT, &["connectors", name, "config"], Some(config))
    }

    /// Deletes a connector: 204, or 404 if there was none.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn unregister(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.call(&Method::DELETE, &["connectors", name], None)
    }

    /// Lists the connectors this user may see: a JSON array of names.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn list(&self) -> Result<Reply, NoAnswer> {
        self.call(&Method::GET, &["connectors"], None)
    }

    /// The state of a connector and of its tasks.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn status(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.call(&Method::GET, &["connectors", name, "status"], None)
    }

    /// The configuration of a connector: a JSON object, or 404.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn config(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.call(&Method::GET, &["connectors", name, "config"], None)
    }

    /// The tasks of a connector.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn tasks(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.call(&Method::GET, &["connectors", name, "tasks"], None)
    }

    /// Restarts a connector and its tasks: 202 or 204.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn restart(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.runtime.block_on(self.call_any(&Call {
            method: Method::POST,
            path: &["connectors", name, "restart"],
            query: Some("includeTasks=true"),
            body: None,
        }))
    }

    /// Pauses a connector: 202.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn pause(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.call(&Method::PUT, &["connectors", name, "pause"], None)
    }

    /// Resumes a paused or stopped connector: 202.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    pub fn resume(&self, name: &str) -> Result<Reply, NoAnswer> {
        self.call(&Method::PUT, &["connectors", name, "resume"], None)
    }

    fn call(
        &self,
        method: &Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Reply, NoAnswer> {
        self.runtime.block_on(self.call_any(&Call {
            method: method.clone(),
            path,
            query: None,
            body,
        }))
    }

    async fn call_any(&self, call: &Call<'_>) -> Result<Reply, NoAnswer> {
        let mut last = None;
        for endpoint in &self.access.endpoints {
            match self.call_one(endpoint, call).await {
                Ok(reply) => return Ok(reply),
                Err(error) if error.is_connect() || call.method == Method::GET => {
                    last = Some(error);
                }
                Err(source) => return Err(NoAnswer::Lost { source }),
            }
        }
        let source = last.expect("access has at least one endpoint, and each one failed");
        Err(NoAnswer::Unreachable {
            endpoints: self.access.endpoints.len(),
            source,
        })
    }

    async fn call_one(
        &self,
        endpoint: &url::Url,
        call: &Call<'_>,
    ) -> Result<Reply, reqwest::Error> {
        let mut url = endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // A connector's name may hold anything; each element is one segment, encoded.
            segments.pop_if_empty().extend(call.path);
        }
        url.set_query(call.query);
        let request = self
            .client
            .request(call.method.clone(), url)
            .basic_auth(&self.access.username, Some(self.access.password.expose()));
        let request = match call.body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok(Reply {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        })
    }
}

/// One REST call before an endpoint is chosen for it.
struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: Option<&'a str>,
    body: Option<&'a Value>,
}
