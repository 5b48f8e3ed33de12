use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use ulid::Ulid;

use super::EnrolmentToSign;
use crate::text::text_traits;
use crate::token::{Jwks, KeyId, TokenRefusal, UnsignedJws, verify_jws};
use crate::{ApproverId, BaseUrl, Invalid, Timestamp};

/// How long an invitation can be used.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// The `typ` of the header of an invitation's JWS.
const TYPE: &str = "sayso-passkey-invitation+jwt";

/// Names one invitation, so that it is used once: 16 random bytes. Its text is base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationId(String);

impl InvitationId {
    /// From 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 16);
        let refuse = || Invalid::new("an invitation's id is 16 bytes in base64url");
        fits.then(|| Self(text.to_owned())).ok_or_else(refuse)
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_traits!(InvitationId);

/// What the operator tells the approver by another way than mail, so that reading the mailbox is not enough to enrol: 80
/// random bits, as 16 characters of Crockford's base32. Nobody can find it from its hash, which is in the mailed link.
#[derive(Clone)]
pub struct InvitationCode(String);

/// The characters of a code.
const CODE: usize = 16;

impl InvitationCode {
    /// From random bits, of which the lowest 80 are used.
    pub fn from_random(random: u128) -> Self {
        // A ULID is 26 characters of that alphabet: the last 16 are its lowest 80 bits.
        Self(Ulid::from(random).to_string().split_off(26 - CODE))
    }

    /// From what was typed: case, separators, and the letters that look like digits do not count.
    pub fn parse(typed: &str) -> Result<Self, Invalid> {
        let letters = typed.chars().filter(|c| c.is_alphanumeric()).map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        });
        let code: String = letters.collect();
        let known = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && c != 'U');
        if code.len() == CODE && code.chars().all(known) {
            return Ok(Self(code));
        }
        Err(Invalid::new("the code is the sixteen letters and digits that your operator told you"))
    }

    /// In four groups, as people read and type them.
    pub fn expose(&self) -> String {
        let code = self.0.as_str();
        [&code[..4], &code[4..8], &code[8..12], &code[12..]].join("-")
    }

    /// The hash that the link carries. It depends on the invitation, so that none is of use for another.
    fn hash(&self, id: &InvitationId) -> String {
        let hash = Sha256::new().chain_update(b"sayso invitation code\0").chain_update(&id.0);
        URL_SAFE_NO_PAD.encode(hash.chain_update(&self.0).finalize())
    }
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationCode(…)")
    }
}

/// That an approver may enrol one passkey, once, for one page. The operator signs it with the enrolment key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// For using it once.
    pub id: InvitationId,
    /// Who is invited.
    pub approver: ApproverId,
    /// The page that the passkey will work on.
    pub page: BaseUrl,
    /// When it was made: the operator can void those made before a moment.
    pub issued_at: Timestamp,
    /// From then on it is of no use.
    pub expires_at: Timestamp,
    code_hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    jti: InvitationId,
    /// The approver's id.
    sub: String,
    /// The page's URL.
    aud: String,
    iat: i64,
    exp: i64,
    code_sha256: String,
}

impl Invitation {
    /// For this approver and this page, of use with this code.
    pub fn new(
        id: InvitationId,
        approver: ApproverId,
        page: BaseUrl,
        code: &InvitationCode,
        now: Timestamp,
    ) -> Self {
        let code_hash = code.hash(&id);
        Self { id, approver, page, issued_at: now, expires_at: now.plus(INVITATION_LIFETIME), code_hash }
    }

    /// To be signed with the enrolment key.
    pub fn to_sign(&self, key: &KeyId) -> EnrolmentToSign {
        let claims = Claims {
            jti: self.id.clone(),
            sub: self.approver.to_string(),
            aud: self.page.to_string(),
            iat: self.issued_at.as_unix_seconds(),
            exp: self.expires_at.as_unix_seconds(),
            code_sha256: self.code_hash.clone(),
        };
        EnrolmentToSign(UnsignedJws::new(TYPE, key, &claims))
    }

    /// What an invitation says, if one of these enrolment keys signed it. Whether it still counts is for
    /// [`is_open`](Self::is_open) and the record of its use.
    pub fn verify(token: &InvitationToken, keys: &Jwks) -> Result<Self, TokenRefusal> {
        let Claims { jti, sub, aud, iat, exp, code_sha256 } = verify_jws(&token.0, TYPE, keys)?;
        let read = || {
            Some(Self {
                id: jti,
                approver: ApproverId::parse(&sub).ok()?,
                page: BaseUrl::parse(&aud).ok()?,
                issued_at: Timestamp::from_unix_seconds(iat).ok()?,
                expires_at: Timestamp::from_unix_seconds(exp).ok()?,
                code_hash: code_sha256,
            })
        };
        read().ok_or(TokenRefusal::Malformed)
    }

    /// What is mailed. The token is in the fragment, so that no server and no log of one gets it by itself.
    pub fn link(&self, token: &InvitationToken) -> String {
        format!("{}/passkey#{}", self.page, token.0)
    }

    /// Whether its time is not over.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Whether this is the code that was made with it.
    pub fn admits(&self, code: &InvitationCode) -> bool {
        code.hash(&self.id).as_bytes().ct_eq(self.code_hash.as_bytes()).into()
    }
}

/// A signed invitation as text, for the fragment of the mailed link: no server sees it before the approver sends the form.
/// `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationToken(String);

impl InvitationToken {
    /// As mailed or received, unverified.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The JWS in compact form.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_however_it_is_typed_and_only_with_its_own_invitation() {
        let now = Timestamp::from_unix_seconds(1_795_348_800).unwrap();
        let code = InvitationCode::from_random(0x1234_5678_9abc_def0_1357_9bdf_0246_8ace);
        let shown = code.expose();
        assert_eq!(shown.len(), CODE + 3);
        let invite = |byte| {
            let (id, page) = (InvitationId::from_random([byte; 16]), BaseUrl::parse("https://page.example"));
            Invitation::new(id, ApproverId::parse("alex").unwrap(), page.unwrap(), &code, now)
        };
        let typed = [shown.clone(), shown.to_lowercase(), shown.replace('-', " "), shown.replace('0', "o")];
        for typed in typed {
            assert!(invite(1).admits(&InvitationCode::parse(&typed).unwrap()), "{typed}");
        }
        let other = InvitationCode::from_random(7);
        assert!(!invite(1).admits(&other));
        assert!(!Invitation { code_hash: invite(2).code_hash, ..invite(1) }.admits(&code));
        for wrong in
            ["", "0000", &shown[1..], &format!("{shown}0"), "UUUU-UUUU-UUUU-UUUU", "éééé-éééé-éééé-éééé"]
        {
            assert!(InvitationCode::parse(wrong).is_err(), "{wrong}");
        }
        assert!(invite(1).is_open(now.plus(INVITATION_LIFETIME).minus(Duration::from_secs(1))));
        assert!(!invite(1).is_open(now.plus(INVITATION_LIFETIME)));
    }
}
