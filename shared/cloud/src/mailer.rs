use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use sayso_model::{ApprovalId, EmailAddress};

use crate::Failure;

/// The tag of a mail that says which approval it is about: SES repeats it when it reports that the mail did not arrive.
pub const APPROVAL_TAG: &str = "approval_id";

/// A mail to an approver. No `Debug`: it holds the deciding link.
pub struct Mail {
    /// What it asks about.
    pub about: ApprovalId,
    /// One recipient.
    pub to: EmailAddress,
    /// One line of which no part is an agent's.
    pub subject: String,
    /// The plain-text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Sends through SES v2.
#[derive(Clone)]
pub struct Mailer {
    client: aws_sdk_sesv2::Client,
    from: EmailAddress,
    configuration_set: Option<String>,
}

impl Mailer {
    /// `from` must be an identity that SES has verified.
    pub fn new(client: aws_sdk_sesv2::Client, from: EmailAddress) -> Self {
        Self { client, from, configuration_set: None }
    }

    /// Sends under this SES configuration set: what counts and reports bounces.
    pub fn under(self, configuration_set: Option<String>) -> Self {
        Self { configuration_set, ..self }
    }

    /// Hands the mail to SES and gives back its message id. A failure does not say that it was not sent.
    pub async fn send(&self, mail: &Mail) -> Result<String, Failure> {
        let call = "ses:SendEmail";
        let tag = MessageTag::builder().name(APPROVAL_TAG).value(mail.about.to_string()).build();
        let tag = tag.map_err(|e| unbuilt(e.to_string()))?;
        let answer = self
            .client
            .send_email()
            .from_email_address(format!("Sayso <{}>", self.from.expose()))
            .destination(Destination::builder().to_addresses(mail.to.expose()).build())
            .content(EmailContent::builder().simple(message(mail)?).build())
            .email_tags(tag)
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await
            .map_err(|e| Failure::call(call, &e))?;
        Ok(answer.message_id.unwrap_or_default())
    }
}

/// The structured form: SES builds the MIME, so nothing in a mail can become a header.
fn message(mail: &Mail) -> Result<Message, Failure> {
    let utf8 = |data: &str| {
        Content::builder().data(data).charset("UTF-8").build().map_err(|e| unbuilt(e.to_string()))
    };
    // RFC 3834: no vacation notice or ticket system answers.
    let automatic = MessageHeader::builder().name("Auto-Submitted").value("auto-generated").build();
    Ok(Message::builder()
        .subject(utf8(&mail.subject)?)
        .body(Body::builder().text(utf8(&mail.text)?).html(utf8(&mail.html)?).build())
        .headers(automatic.map_err(|e| unbuilt(e.to_string()))?)
        .build())
}

fn unbuilt(problem: String) -> Failure {
    Failure::Call { call: "ses:SendEmail", code: format!("request could not be built: {problem}") }
}
