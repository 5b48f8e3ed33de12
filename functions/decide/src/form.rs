use sayso_model::passkey::RequiredProof;
use sayso_model::{DecidingLink, EmailLinkProof, Invalid, Note};
use sayso_views::{DenialReason, FormErrors};
use serde::Deserialize;

/// The form as sent. A field that is missing is empty; without `Debug`, so that no log shows the secret.
#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    pub(crate) secret: String,
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    pub(crate) note: String,
    /// `AuthenticationResponseJSON`, where approving takes a passkey.
    #[serde(default)]
    credential: String,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Deny,
}

/// An answer with everything it needs.
pub(crate) struct Answer<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) shown: Shown<'a>,
    pub(crate) note: Option<Note>,
}

/// What the approver has shown for their answer.
pub(crate) enum Shown<'a> {
    /// The code.
    Code(EmailLinkProof),
    /// What a passkey answered, still to be verified.
    Passkey(&'a str),
}

impl Fields {
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.verdict.as_str() {
            "approve" => Some(Verdict::Approve),
            "deny" => Some(Verdict::Deny),
            _ => self.reason().map(|_| Verdict::Deny),
        }
    }

    fn reason(&self) -> Option<DenialReason> {
        DenialReason::ALL.into_iter().find(|reason| reason.verdict() == self.verdict)
    }

    /// The approver's words: the reason that they pressed, and what they wrote.
    fn note(&self) -> Result<Option<Note>, Invalid> {
        let note = Note::parse(&self.note)?;
        let Some(reason) = self.reason() else { return Ok(note) };
        let words = note.map_or(String::new(), |note| format!(" {}", note.as_str()));
        Note::parse(&format!("{}.{words}", reason.words()))
    }

    /// The answer, or everything that has to change at once. A no takes the code, whatever a yes takes.
    pub(crate) fn answer(
        &self,
        link: &DecidingLink,
        required: RequiredProof,
    ) -> Result<Answer<'_>, FormErrors> {
        let (note, verdict) = (self.note(), self.verdict());
        let by_passkey = required == RequiredProof::Passkey && verdict != Some(Verdict::Deny);
        let shown = if by_passkey {
            let answered = Some(self.credential.as_str()).filter(|answer| !answer.is_empty());
            answered.map(Shown::Passkey).ok_or(FormErrors {
                passkey: verdict.map(|_| "You need your passkey to approve this.".to_owned()),
                ..FormErrors::default()
            })
        } else {
            link.prove(&self.code).map(Shown::Code).map_err(|_| FormErrors {
                code: Some(self.about_the_code(required).to_owned()),
                ..FormErrors::default()
            })
        };
        match (shown, note, verdict) {
            (Ok(shown), Ok(note), Some(verdict)) => Ok(Answer { verdict, shown, note }),
            (shown, note, verdict) => Err(FormErrors {
                note: note.err().map(|e| e.to_string().replace("`note`", "The note")),
                verdict: verdict.is_none().then(|| "Choose: approve or deny.".to_owned()),
                ..shown.err().unwrap_or_default()
            }),
        }
    }

    /// What to show in the code's field again: a code that does not match helps nobody.
    pub(crate) fn code_to_keep(&self, errors: &FormErrors) -> &str {
        if errors.code.is_none() { &self.code } else { "" }
    }

    fn about_the_code(&self, required: RequiredProof) -> &'static str {
        if self.code.trim().is_empty() {
            match required {
                RequiredProof::EmailLink => "Type the six digits shown above, to approve and to deny.",
                RequiredProof::Passkey => "Type the six digits shown above, to deny.",
            }
        } else {
            "The code does not match. Look at the request again, then type the six digits shown above."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sayso_model::{
        Action, AgentName, ApprovalId, ApproverId, Audience, CanonicalJson, LinkSecret, Request, Summary,
        Timestamp, TokenLifetime, ToolName,
    };

    fn request() -> Request {
        let now = Timestamp::from_unix_seconds(1_795_348_800).unwrap();
        Request {
            id: ApprovalId::new(now, 42),
            agent: AgentName::parse("deploy-bot").unwrap(),
            approver: ApproverId::parse("approver-1").unwrap(),
            audience: Audience::parse("production").unwrap(),
            action: Action {
                tool: ToolName::parse("drop_table").unwrap(),
                arguments: CanonicalJson::parse("{}").unwrap(),
            },
            summary: Summary::parse("Drop it").unwrap(),
            reason: None,
            created_at: now,
            closes_at: now.plus(std::time::Duration::from_secs(600)),
            token_lifetime: TokenLifetime::default(),
            link_secret_hash: LinkSecret::from_random([7; 32]).hash(),
        }
    }

    fn link(request: &Request) -> DecidingLink {
        DecidingLink::admit(LinkSecret::from_random([7; 32]), request, None).unwrap()
    }

    fn fields(code: &str, verdict: &str, note: &str) -> Fields {
        let (secret, credential) = (String::new(), String::new());
        Fields { secret, code: code.into(), verdict: verdict.into(), note: note.into(), credential }
    }

    #[test]
    fn an_answer_needs_the_code_of_the_request_that_was_shown() {
        let shown = link(&request()).code().to_string();
        let sent = fields(&shown, "deny", " \r\n");
        let answer = sent.answer(&link(&request()), RequiredProof::EmailLink).ok().unwrap();
        assert_eq!((answer.verdict, answer.note), (Verdict::Deny, None));
        let changed = [
            Request { audience: Audience::parse("staging").unwrap(), ..request() },
            Request { token_lifetime: TokenLifetime::from_seconds(86_400).unwrap(), ..request() },
            Request { summary: Summary::parse("Keep it").unwrap(), ..request() },
            Request {
                action: Action { arguments: CanonicalJson::parse(r#"{"a":1}"#).unwrap(), ..request().action },
                ..request()
            },
        ];
        for request in changed {
            let sent = fields(&shown, "approve", "");
            let errors = sent.answer(&link(&request), RequiredProof::EmailLink).err().unwrap();
            assert!(errors.code.is_some() && errors.note.is_none() && errors.verdict.is_none());
        }
    }

    #[test]
    fn the_code_counts_in_every_script_and_with_whatever_stands_between_its_digits() {
        let code = link(&request()).code().to_string();
        let in_digits_from = |zero: char| -> String {
            let digit = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(zero as u32 + digit));
            code.chars().map(|c| digit(c).unwrap_or(c)).collect()
        };
        let digits: String = code.chars().filter(char::is_ascii_digit).collect();
        let between = |between: &str| digits.split("").collect::<Vec<_>>().join(between);
        // Full-width, Arabic, Persian, Devanagari, and two of a run of several scripts' digits.
        let scripts =
            ['\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}', '\u{1d7ce}', '\u{1d7e2}'].map(in_digits_from);
        // Invisible, non-breaking, narrow, dashes, dots, and the keycaps that phones make of digits.
        let separators =
            ["\u{200b}", "\u{a0}", "\u{202f}", "\u{2011}", "\u{2013}", ".", "\u{2066}", "\u{fe0f}\u{20e3}"]
                .map(between);
        for typed in scripts.iter().chain(&separators) {
            assert!(
                fields(typed, "deny", "").answer(&link(&request()), RequiredProof::EmailLink).is_ok(),
                "{typed:?}"
            );
        }
        for wrong in
            [format!("{digits}0"), format!("{digits}a"), format!("{digits}\u{2460}"), digits[1..].to_owned()]
        {
            assert!(
                fields(&wrong, "deny", "").answer(&link(&request()), RequiredProof::EmailLink).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn everything_that_has_to_change_is_said_at_once() {
        let sent = fields("", "maybe", &"x".repeat(1_001));
        let errors = sent.answer(&link(&request()), RequiredProof::EmailLink).err().unwrap();
        assert!(errors.code.is_some() && errors.verdict.is_some());
        assert!(errors.note.unwrap().contains("1001 characters"));
    }
}
