use std::fmt;

use crate::Invalid;

/// The address of one of the functions: an `https` URL, or `http` on loopback, without user, query or fragment. It ends
/// without a slash, whether or not its text did, so that an id can be appended and so that an issuer has one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: String,
    /// Scheme, host and port.
    origin: String,
}

impl BaseUrl {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse =
            || Invalid::new("not an https URL without user, query and fragment (http only on loopback)");
        let url = text.trim_end_matches('/');
        let (scheme, rest) = url.split_once("://").ok_or_else(refuse)?;
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let local = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        // In a policy or a header, nothing of it may end the directive it stands in.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let path = |c: char| plain(c) || "/~%".contains(c);
        let fits = (scheme == "https" || (scheme == "http" && local))
            && !host.is_empty()
            && authority.chars().all(plain)
            && rest.chars().all(path);
        if !fits {
            return Err(refuse());
        }
        Ok(Self { url: url.to_owned(), origin: format!("{scheme}://{authority}") })
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port: what a page's policy allows or a browser compares.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

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
        ];
        for text in rows {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
