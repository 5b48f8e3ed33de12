//! The deciding link: a secret that goes by e-mail to the approver and nowhere else, and the code the page shows.
//!
//! Threat: mail scanners open links, run scripts and submit forms as they stand; agents see everything but the
//! mail. Bindings: the secret is 256 random bits and only its hash is stored; the code depends on the secret and
//! on everything the page showed, so a code read beside one request decides no other, nor this one once it changed. Not done
//! here: the link proves that someone reads the mailbox, not who that is.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::{Invalid, Notice, Request, RequestFingerprint};

/// The secret in a deciding link. Plain: it exists while the mail is written and in the approver's hands.
#[derive(Clone)]
pub struct LinkSecret([u8; 32]);

impl LinkSecret {
    /// From 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From its text: 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Invalid::new("a link secret is 43 characters of base64url"))
    }

    /// The text for the link and for the form's hidden field.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored.
    pub fn hash(&self) -> LinkSecretHash {
        LinkSecretHash(Sha256::digest(self.0).into())
    }
}

/// A mailed secret that belongs to this very request, and what its page shows. Only [`DecidingLink::admit`] makes one,
/// so a proof cannot come from a secret that was never mailed, or from another request's.
#[derive(Debug)]
pub struct DecidingLink {
    secret: LinkSecret,
    shown: RequestFingerprint,
}

impl DecidingLink {
    /// `None` if no mail about `request` carried `secret`.
    pub fn admit(secret: LinkSecret, request: &Request, notice: Option<&Notice>) -> Option<Self> {
        let hash = secret.hash();
        let later = notice.map_or(&[][..], |notice| &notice.links);
        // No early exit: the time taken does not tell which link it was.
        let found =
            later.iter().fold(request.link_secret_hash == hash, |found, link| found | (*link == hash));
        found.then(|| Self { secret, shown: request.fingerprint() })
    }

    /// The secret, to go back in the form.
    pub fn secret(&self) -> &LinkSecret {
        &self.secret
    }

    /// The code the page shows beside the request.
    pub fn code(&self) -> ConfirmationCode {
        let hash = Sha256::new()
            .chain_update(b"sayso confirmation code\0")
            .chain_update(self.secret.0)
            .chain_update(self.shown.as_bytes())
            .finalize();
        let number = hash.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        ConfirmationCode(format!("{:06}", number % 1_000_000))
    }

    /// The approver's proof: this link and the code as typed. A digit counts in every script; separators, punctuation, marks
    /// and what nobody sees do not count.
    pub fn prove(&self, typed: &str) -> Result<EmailLinkProof, WrongCode> {
        let digits: String = typed.chars().filter_map(typed_as).collect();
        let fits = bool::from(self.code().0.as_bytes().ct_eq(digits.as_bytes()));
        if fits { Ok(EmailLinkProof(())) } else { Err(WrongCode) }
    }
}

/// What a typed character counts as: a digit of ASCII, nothing, or itself, which no code holds.
fn typed_as(c: char) -> Option<char> {
    use GeneralCategoryGroup::{Letter, Number, Symbol};
    if is_decimal_digit(c) {
        // The digits of a script follow each other from its zero (Unicode, section 4.6), and scripts by tens.
        let below = (1..=c as u32).map_while(|down| char::from_u32(c as u32 - down));
        let place = below.take_while(|c| is_decimal_digit(*c)).count() % 10;
        return u32::try_from(place).ok().and_then(|digit| char::from_digit(digit, 10));
    }
    matches!(c.general_category_group(), Letter | Number | Symbol).then_some(c)
}

fn is_decimal_digit(c: char) -> bool {
    c.general_category() == GeneralCategory::DecimalNumber
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

/// SHA-256 of a link secret. `Display` is base64url; equality takes constant time.
#[derive(Clone, Copy, Eq)]
pub struct LinkSecretHash([u8; 32]);

impl LinkSecretHash {
    /// From its text: 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        LinkSecret::parse(text).map(|same_shape| Self(same_shape.0))
    }
}

impl PartialEq for LinkSecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for LinkSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for LinkSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecretHash(…)")
    }
}

/// Six digits that the page shows and the approver types: the gesture a scanner does not make. No secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmationCode(String);

impl fmt::Display for ConfirmationCode {
    /// In two groups, as people read digits: `481 203`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.0.split_at(3);
        write!(f, "{first} {last}")
    }
}

/// The code typed is not the one the page showed beside this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the code does not match: type the six digits shown on the page")]
pub struct WrongCode;

/// Proof that the person who decides has the mailed link and typed the code of its page. Only [`DecidingLink::prove`] makes one.
#[derive(Debug)]
pub struct EmailLinkProof(());
