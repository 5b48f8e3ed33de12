//! What a Function URL makes of a request and of an answer: payload format 2.0.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::Page;

/// A request to a Function URL.
#[derive(Debug, Clone)]
pub struct Call {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    in_base64: bool,
}

impl Call {
    /// Without a body. What follows `?` in `path` is the query.
    pub fn new(method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: BTreeMap::new(),
            body: None,
            in_base64: false,
        }
    }

    /// With a header; a second value of the same name is joined to the first by a comma.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let joined = |values: &mut String| *values = format!("{values},{value}");
        self.headers.entry(name.to_ascii_lowercase()).and_modify(joined).or_insert_with(|| value.to_owned());
        self
    }

    /// With a body, which the event carries as text.
    pub fn body(mut self, content_type: &str, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("content-type", content_type).header("content-length", &body.len().to_string())
    }

    /// The event carries the body in Base64, as it does for every content type that is not text: a form's is not.
    pub fn in_base64(mut self) -> Self {
        self.in_base64 = true;
        self
    }

    pub(crate) fn event(&self, domain: &str) -> Value {
        static CALLS: AtomicU64 = AtomicU64::new(1);
        let id = format!("00000000-0000-4000-8000-{:012}", CALLS.fetch_add(1, Ordering::Relaxed));
        let mut headers = self.headers.clone();
        let cookies = headers
            .remove("cookie")
            .map(|cookies| cookies.split("; ").map(str::to_owned).collect::<Vec<_>>());
        let added = [
            ("host", domain),
            ("user-agent", "sayso-tests"),
            ("x-amzn-trace-id", "Root=1-00000000-000000000000000000000000"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ];
        headers.extend(added.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let http = json!({
            "method": self.method, "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7",
            "userAgent": "sayso-tests",
        });
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": self.path, "rawQueryString": self.query,
            "headers": headers, "isBase64Encoded": self.in_base64,
            "requestContext": {
                "accountId": "anonymous", "apiId": "abc", "domainName": domain, "domainPrefix": "abc",
                "http": http, "requestId": id, "routeKey": "$default", "stage": "$default",
                "time": "22/Nov/2026:12:00:00 +0000", "timeEpoch": 1_795_348_800_000_u64,
            },
        });
        if let Some(cookies) = cookies {
            event["cookies"] = json!(cookies);
        }
        if let Some(body) = &self.body {
            event["body"] = json!(if self.in_base64 { BASE64.encode(body) } else { body.clone() });
        }
        event
    }
}

/// What comes out of a Function URL.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Reply {
    pub(crate) fn new(response: &Value) -> Self {
        let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let body = response["body"].as_str().unwrap_or_default();
        let body = if response["isBase64Encoded"].as_bool() == Some(true) {
            String::from_utf8(BASE64.decode(body).expect("Base64")).expect("text")
        } else {
            body.to_owned()
        };
        let headers = response["headers"].as_object().into_iter().flatten();
        let headers = headers.map(|(name, value)| header(name, value.as_str().expect("a value"))).collect();
        Self { status: status.expect("a status"), headers, body }
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.body))
    }

    /// As a browser has it, from this address.
    pub fn page(self, url: &str) -> Page {
        Page { url: url.to_owned(), status: self.status, headers: self.headers, html: self.body }
    }
}

/// A Function URL renames the one header that it wants for itself.
fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    let name = name.to_ascii_lowercase();
    let name = if name == "www-authenticate" { "x-amzn-remapped-www-authenticate" } else { name.as_str() };
    (name.parse().expect("a name"), value.parse().expect("a value"))
}
