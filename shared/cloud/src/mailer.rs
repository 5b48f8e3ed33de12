use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use sayso_model::{ApprovalId, EmailAddress, MessageId};

use crate::Failure;

const CALL: &str = "ses:SendEmail";

/// The tag of a mail that says which approval it is about: SES repeats it when it reports that the mail did not arrive.
pub const APPROVAL_TAG: &str = "approval_id";

/// A mail to an approver. No `Debug`: it holds the deciding link.
pub struct Mail {
    /// The approval that it asks about, if it does.
    pub about: Option<ApprovalId>,
    /// One recipient.
    pub to: EmailAddress,
    /// One line of which no part is an agent's.
    pub subject: String,
    /// The plain-text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Why SES has not said that it took a mail.
#[derive(Debug)]
pub enum SendError {
    /// It said no (HTTP 4xx), or was not asked: nobody gets this mail.
    Refused(Failure),
    /// It did not say: the mail may arrive all the same.
    Unknown(Failure),
}

impl SendError {
    /// What broke.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Refused(failure) | Self::Unknown(failure) => failure,
        }
    }

    fn from_sdk<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let failure = Failure::call(CALL, error);
        match error {
            SdkError::ConstructionFailure(_) => Self::Refused(failure),
            SdkError::ServiceError(service) if service.raw().status().is_client_error() => {
                Self::Refused(failure)
            }
            _ => Self::Unknown(failure),
        }
    }
}

/// Sends through SES v2.
#[derive(Clone)]
pub struct Mailer {
    client: aws_sdk_sesv2::Client,
    from: EmailAddress,
    reply_to: EmailAddress,
    configuration_set: Option<String>,
}

impl Mailer {
    /// `from` must be an identity that SES has verified. Answers go to `reply_to`, which needs no such thing.
    pub fn new(client: aws_sdk_sesv2::Client, from: EmailAddress, reply_to: EmailAddress) -> Self {
        Self { client, from, reply_to, configuration_set: None }
    }

    /// Sends under this SES configuration set: what counts and reports bounces.
    pub fn under(self, configuration_set: Option<String>) -> Self {
        Self { configuration_set, ..self }
    }

    /// Hands the mail to SES and gives back its message id.
    pub async fn send(&self, mail: &Mail) -> Result<MessageId, SendError> {
        let tag = |id: ApprovalId| MessageTag::builder().name(APPROVAL_TAG).value(id.to_string()).build();
        let tags = mail.about.map(tag).transpose();
        let tags = tags.map_err(|_| SendError::Refused(Failure::not_built(CALL)))?.map(|tag| vec![tag]);
        let answer = self
            .client
            .send_email()
            .from_email_address(format!("Sayso <{}>", self.from.expose()))
            .reply_to_addresses(self.reply_to.expose())
            .destination(Destination::builder().to_addresses(mail.to.expose()).build())
            .content(EmailContent::builder().simple(message(mail).map_err(SendError::Refused)?).build())
            .set_email_tags(tags)
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await
            .map_err(|e| SendError::from_sdk(&e))?;
        // It took the mail; an id that is none could not be told from another's.
        MessageId::parse(&answer.message_id.unwrap_or_default())
            .map_err(|_| SendError::Unknown(Failure::unreadable(CALL)))
    }
}

/// The structured form: SES builds the MIME, so nothing in a mail can become a header.
fn message(mail: &Mail) -> Result<Message, Failure> {
    let utf8 = |data: &str| {
        Content::builder().data(data).charset("UTF-8").build().map_err(|_| Failure::not_built(CALL))
    };
    // RFC 3834: no vacation notice or ticket system answers.
    let automatic = MessageHeader::builder().name("Auto-Submitted").value("auto-generated").build();
    Ok(Message::builder()
        .subject(utf8(&mail.subject)?)
        .body(Body::builder().text(utf8(&mail.text)?).html(utf8(&mail.html)?).build())
        .headers(automatic.map_err(|_| Failure::not_built(CALL))?)
        .build())
}
