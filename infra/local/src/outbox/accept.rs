//! Reads a `SendEmail` call and refuses what SES would refuse, and what this outbox could not show truthfully.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::address;

/// The largest message SES takes, all parts together. (SES counts them as it encodes them; this counts them as given.)
pub(super) const MAX_MESSAGE: usize = 40 * 1024 * 1024;
const MAX_RECIPIENTS: usize = 50;
const MAX_HEADERS: usize = 15;
const MAX_HEADER_NAME: usize = 126;
const MAX_HEADER_VALUE: usize = 995;
/// A name and its value together.
const MAX_HEADER: usize = 996;
/// A name or value of a tag.
const MAX_TAG: usize = 256;
/// What SES writes itself, from the other parameters.
const RESERVED_HEADERS: [&str; 13] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "reply-to",
    "return-path",
    "sender",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// A mail that SES would have sent.
pub(super) struct Accepted {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
}

/// Why a mail was not accepted. Says which part is wrong and never quotes it: an agent's words may be in it.
#[derive(Debug)]
pub(super) struct Refusal(String);

impl Refusal {
    pub(super) fn too_large() -> Self {
        Self(format!("Message length is more than {MAX_MESSAGE} bytes long."))
    }

    pub(super) fn message(&self) -> &str {
        &self.0
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}

// What is not named here (raw and templated mails, attachments, Cc, Bcc) is refused by its name, never dropped.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SendEmail {
    from_email_address: Option<String>,
    destination: Option<Destination>,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    content: Option<EmailContent>,
    #[serde(rename = "ConfigurationSetName")]
    _configuration_set_name: Option<IgnoredAny>,
    #[serde(default)]
    email_tags: Vec<Tag>,
    #[serde(rename = "FromEmailAddressIdentityArn")]
    _from_identity: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Destination {
    #[serde(default)]
    to_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EmailContent {
    simple: Option<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Message {
    subject: Option<Content>,
    body: Option<Body>,
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Body {
    text: Option<Content>,
    html: Option<Content>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Content {
    data: String,
    charset: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Header {
    name: String,
    value: String,
}

/// The mail in the body of a `SendEmail` request.
pub(super) fn read(body: &[u8]) -> Result<Accepted, Refusal> {
    let request: SendEmail = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let Some(from) = request.from_email_address.filter(|from| !from.is_empty()) else {
        return refuse("Missing required parameter: FromEmailAddress");
    };
    address::check(&from).or_else(|why| refuse(format!("FromEmailAddress: {why}")))?;
    let to = request.destination.map(|destination| destination.to_addresses).unwrap_or_default();
    check_addresses("Destination.ToAddresses", &to)?;
    if to.is_empty() {
        return refuse("Missing required parameter: Destination.ToAddresses");
    }
    let Some(message) = request.content.and_then(|content| content.simple) else {
        return refuse("Missing required parameter: Content.Simple");
    };
    let subject = subject(message.subject)?;
    let Some(body) = message.body.filter(|body| body.text.is_some() || body.html.is_some()) else {
        return refuse("Missing required parameter: Content.Simple.Body needs Text or Html");
    };
    let text = body.text.map(|part| readable("Body.Text", part)).transpose()?;
    let html = body.html.map(|part| readable("Body.Html", part)).transpose()?;
    let mut headers = headers(message.headers)?;
    check_addresses("ReplyToAddresses", &request.reply_to_addresses)?;
    if !request.reply_to_addresses.is_empty() {
        headers.push(("Reply-To".to_owned(), request.reply_to_addresses.join(", ")));
    }
    let length = |part: &Option<String>| part.as_ref().map_or(0, String::len);
    if subject.len() + length(&text) + length(&html) > MAX_MESSAGE {
        return Err(Refusal::too_large());
    }
    let tags = tags(request.email_tags)?;
    Ok(Accepted { from, to, subject, text, html, headers, tags })
}

/// What the parser says of a wrong type quotes the value; what it says of a name does not.
fn unreadable(error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    if message.starts_with("unknown field") || message.starts_with("missing field") {
        return Refusal(format!("The local outbox does not take this request: {message}"));
    }
    Refusal(format!("The request is not readable at line {} column {}", error.line(), error.column()))
}

fn check_addresses(parameter: &str, addresses: &[String]) -> Result<(), Refusal> {
    if addresses.len() > MAX_RECIPIENTS {
        return refuse(format!("{parameter}: Recipient count exceeds {MAX_RECIPIENTS}."));
    }
    addresses
        .iter()
        .try_for_each(|address| address::check(address).or_else(|why| refuse(format!("{parameter}: {why}"))))
}

fn subject(subject: Option<Content>) -> Result<String, Refusal> {
    let subject = subject.map(|subject| readable("Subject", subject)).transpose()?.unwrap_or_default();
    if subject.trim().is_empty() {
        return refuse("Missing required parameter: Content.Simple.Subject");
    }
    if subject.chars().any(char::is_control) {
        return refuse("Subject contains control characters or line breaks");
    }
    Ok(subject)
}

/// SES sends question marks for what the charset does not have, and its default is 7-bit ASCII. Refusing is stricter,
/// and shows the missing charset before an approver sees the question marks.
fn readable(part: &str, content: Content) -> Result<String, Refusal> {
    let charset = content.charset.as_deref().unwrap_or("US-ASCII");
    if charset.eq_ignore_ascii_case("UTF-8") || content.data.is_ascii() {
        return Ok(content.data);
    }
    refuse(format!("{part} has characters outside its charset, which should be UTF-8"))
}

/// SES takes ASCII letters, digits, `_` and `-` (API_MessageTag).
fn tags(tags: Vec<Tag>) -> Result<Vec<(String, String)>, Refusal> {
    let fits = |text: &str| {
        (1..=MAX_TAG).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if tags.iter().any(|Tag { name, value }| !fits(name) || !fits(value)) {
        return refuse(
            "EmailTags: a name or value has other characters than letters, digits, _ and -, or too many",
        );
    }
    Ok(tags.into_iter().map(|Tag { name, value }| (name, value)).collect())
}

fn headers(headers: Vec<Header>) -> Result<Vec<(String, String)>, Refusal> {
    if headers.len() > MAX_HEADERS {
        return refuse(format!("Headers: more than {MAX_HEADERS}"));
    }
    let mut seen: Vec<String> = Vec::new();
    for Header { name, value } in &headers {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return refuse("Header name may contain printable ASCII characters except the colon only");
        }
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return refuse("Header value may contain printable ASCII characters only");
        }
        let (names, values) = (name.len(), value.len());
        if names > MAX_HEADER_NAME || values > MAX_HEADER_VALUE || names + values > MAX_HEADER {
            return refuse("Header is too long");
        }
        let name = name.to_ascii_lowercase();
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return refuse(format!("Header {name} cannot be given: it follows from the other parameters"));
        }
        if seen.contains(&name) {
            return refuse(format!("Header {name} is given twice"));
        }
        seen.push(name);
    }
    Ok(headers.into_iter().map(|Header { name, value }| (name, value)).collect())
}
