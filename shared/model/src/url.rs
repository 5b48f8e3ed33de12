use std::fmt;
use std::net::Ipv6Addr;

use http::Uri;

use crate::Invalid;
use crate::text::from_text;

/// The address of one of the functions: an `https` URL, or `http` on loopback, without user, query or fragment. It ends
/// without a slash, whether or not its text did, so that an id can be appended and so that an issuer has one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: String,
    /// Scheme, host and port.
    origin: String,
    host: String,
}

impl BaseUrl {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse =
            || Invalid::new("not an https URL without user, query and fragment (http only on loopback)");
        let url = text.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|_| refuse())?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(refuse)?;
        let host = authority.host();
        let local = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        // In a policy or a header, nothing of it may end the directive it stands in.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]/~%".contains(c);
        let fits = (scheme == "https" || (scheme == "http" && local))
            && is_host(host)
            && is_port(authority.as_str().strip_prefix(host))
            && url.strip_prefix(scheme).is_some_and(|rest| rest.chars().all(plain));
        if !fits {
            return Err(refuse());
        }
        let (origin, host) = (format!("{scheme}://{authority}"), host.to_owned());
        Ok(Self { url: url.to_owned(), origin, host })
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port: what a page's policy allows or a browser compares.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host without its port: what WebAuthn calls the relying party's id, where it is a name.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// A name, or an address of either version: `Uri` leaves both alone.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '[', ']', '%', '~']),
    }
}

/// What stands behind the host: nothing, or a port that one can connect to.
fn is_port(after_host: Option<&str>) -> bool {
    match after_host {
        Some("") => true,
        Some(rest) => {
            let port = rest.strip_prefix(':').filter(|port| port.chars().all(|c| c.is_ascii_digit()));
            port.and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port > 0)
        }
        // A user stands in front of the host.
        None => false,
    }
}

from_text!(BaseUrl);

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling_and_an_origin() {
        let rows = [
            (
                "https://abc.lambda-url.eu-west-1.on.aws/",
                "https://abc.lambda-url.eu-west-1.on.aws",
                "https://abc.lambda-url.eu-west-1.on.aws",
            ),
            ("http://127.0.0.1:8789/decide/", "http://127.0.0.1:8789/decide", "http://127.0.0.1:8789"),
            ("http://[::1]:1", "http://[::1]:1", "http://[::1]:1"),
            ("https://[2001:db8::1]/a/", "https://[2001:db8::1]/a", "https://[2001:db8::1]"),
            ("https://a:65535", "https://a:65535", "https://a:65535"),
        ];
        for (text, url, origin) in rows {
            let parsed = BaseUrl::parse(text).unwrap();
            assert_eq!((parsed.as_str(), parsed.origin()), (url, origin));
        }
    }

    #[test]
    fn what_nothing_should_be_sent_to_is_refused() {
        let rows = [
            "",
            "/",
            "decide",
            "http://example.com",
            "http://127.0.0.1.example.com",
            "ftp://a",
            "https://",
            "https:///a",
            "https://a;b",
            "https://u@a",
            "https://a?x",
            "https://a#x",
            "https://a b",
            "https://a\"",
            "https://:1",
            "https://[",
            "https://]",
            "https://[::1",
            "https://[::1]]",
            "https://[1.2.3.4]",
            "https://a:1:2",
            "https://a:",
            "https://a:b",
            "https://a:0",
            "https://a:65536",
            "https://a:99999999",
            "https://a::1",
            "http://localhost:1.example.com",
            "http://[::1].example.com",
        ];
        for text in rows {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
