use std::borrow::Cow;
use std::fmt;

/// A place in a document, as a list from the leaf to the root so that no text is built unless it is needed.
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the top"),
            Self::Key(parent, key) => {
                parent.fmt_prefix(f)?;
                // A key is the sender's text: bounded, and with its control characters escaped.
                let shown: String = key.chars().take(64).flat_map(char::escape_debug).collect();
                let cut = if key.chars().count() > 64 { "…" } else { "" };
                write!(f, "/{}{cut}", pointer_token(&shown))
            }
            Self::Index(parent, index) => {
                parent.fmt_prefix(f)?;
                write!(f, "/{index}")
            }
        }
    }
}

impl Path<'_> {
    fn fmt_prefix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            inner => fmt::Display::fmt(inner, f),
        }
    }
}

/// A name as a step of a JSON Pointer (RFC 6901, section 4).
pub(crate) fn pointer_token(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) {
        Cow::Owned(key.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(key)
    }
}
