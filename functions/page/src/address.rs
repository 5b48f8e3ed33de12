//! What an address leads to. Mail clients and people add to a link what does not belong to it (a full stop, a bracket, a
//! slash, a space), and cut it. An id and a secret have a length of their own, so what was added is told apart.

use sayso_model::{ApprovalId, LinkSecret};

/// The lengths of an id and of a secret, in characters.
const ID: usize = 26;
const SECRET: usize = 43;

/// The path of the page for invitations, as `sayso approver invite` mails it.
const ENROLMENT: &str = "passkey";

/// Where an address leads.
pub(crate) enum Address {
    /// To the page on which its approver decides, if the secret is right.
    Deciding(ApprovalId, LinkSecret),
    /// To how an approval stands.
    Status(ApprovalId),
    /// To the page on which an invited approver makes a passkey. Who is invited is in the fragment.
    Enrolment,
    /// Nowhere: it is no link, or not a whole one any more.
    Nothing,
}

impl Address {
    /// From a path without its first slash, percent-decoded.
    pub(crate) fn parse(path: &str) -> Self {
        if path.strip_prefix(ENROLMENT).is_some_and(is_added) {
            return Self::Enrolment;
        }
        let parsed = split(path, ID).and_then(|(id, rest)| Some((ApprovalId::parse(id).ok()?, rest)));
        let Some((id, rest)) = parsed else { return Self::Nothing };
        if is_added(rest) {
            return Self::Status(id);
        }
        let secret = rest.strip_prefix('/').and_then(|rest| split(rest, SECRET));
        match secret.map(|(secret, rest)| (LinkSecret::parse(secret), is_added(rest))) {
            Some((Ok(secret), true)) => Self::Deciding(id, secret),
            _ => Self::Nothing,
        }
    }
}

/// The first characters, and the rest; `None` if there are fewer.
fn split(text: &str, characters: usize) -> Option<(&str, &str)> {
    text.split_at_checked(characters)
}

/// Whether it says nothing: no letter and no digit of any script.
fn is_added(rest: &str) -> bool {
    !rest.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPROVAL: &str = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";

    #[test]
    fn what_is_added_to_a_whole_link_does_not_count() {
        let secret = LinkSecret::from_random([9; 32]).expose();
        for added in [
            "", "/", ".", ",", ")", ">", " ", "\u{a0}", "\u{200b}", ">)", "”.", "'", "*", "_", "\u{2026}",
            "//",
        ] {
            let deciding = Address::parse(&format!("{APPROVAL}/{secret}{added}"));
            assert!(
                matches!(&deciding, Address::Deciding(id, found) if id.to_string() == APPROVAL && found.expose() == secret),
                "{added:?}"
            );
            let status = Address::parse(&format!("{APPROVAL}{added}"));
            assert!(matches!(status, Address::Status(id) if id.to_string() == APPROVAL), "{added:?}");
        }
    }

    #[test]
    fn a_link_that_is_not_whole_leads_nowhere() {
        let secret = LinkSecret::from_random([9; 32]).expose();
        for damaged in [
            format!("{APPROVAL}/{}", &secret[1..]),
            format!("{APPROVAL}/{}", &secret[..42]),
            format!("{APPROVAL}/{secret}a"),
            format!("{APPROVAL}/{secret}.html"),
            format!("{APPROVAL}/{}é{}", &secret[..20], &secret[21..]),
            format!("{}/{secret}", &APPROVAL[..25]),
            format!("{}/{secret}", APPROVAL.to_lowercase()),
            format!("{APPROVAL}{secret}"),
            format!("{APPROVAL}//{secret}"),
            String::new(),
            "favicon.ico".to_owned(),
            "é".to_owned(),
        ] {
            assert!(matches!(Address::parse(&damaged), Address::Nothing), "{damaged}");
        }
    }
}
