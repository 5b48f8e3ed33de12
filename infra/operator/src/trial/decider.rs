//! Decides like a browser without scripts, with the link from a local host's outbox: anyone who can read the outbox can decide.
//! On AWS there is no such way, and a person opens the mail.

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use sayso_model::{ApprovalId, BaseUrl};
use serde_json::Value;

use super::Failed;
use crate::connection::{fetch, http};

const FORM: &str = "application/x-www-form-urlencoded";

/// Approves, by the newest mail about it.
pub(super) async fn approve(outbox: &BaseUrl, id: ApprovalId) -> Result<(), Failed> {
    let failed = |what: &str| Failed::new(what, "start sayso-local of the same version as this command");
    let http = http(true, None).map_err(|stopped| failed(&stopped.message))?;
    let link = link(&http, outbox, id).await.ok_or_else(|| failed("the outbox has no mail about it"))?;
    let page = fetch(&http, &link).await.ok_or_else(|| {
        Failed::new(
            "the page does not open",
            "read the log of the page function: it may lack permission to read the table",
        )
    })?;
    let form = Form::on(&page).ok_or_else(|| failed("the page has no form that is understood"))?;
    let post = http.post(form.action).header(CONTENT_TYPE, FORM).body(form.body);
    let status = post.send().await.ok().map(|answer| answer.status());
    match status {
        Some(status) if status.is_success() => Ok(()),
        Some(status) => Err(Failed::new(
            format!("the decide function answered HTTP {}", status.as_u16()),
            "it could not sign or record the decision: its role needs kms:Sign with the key in SIGNING_KEY_ID and to write OUTCOME# rows; its log has the call and the error's code",
        )),
        None => {
            Err(Failed::new("the decide function does not answer", "compare DECIDE_URL of the page function"))
        }
    }
}

async fn link(http: &Client, outbox: &BaseUrl, id: ApprovalId) -> Option<String> {
    let mails: Value = serde_json::from_str(&fetch(http, &format!("{outbox}/messages.json")).await?).ok()?;
    let texts = mails.as_array()?.iter().rev().filter_map(|mail| mail["text"].as_str());
    let lines = texts.flat_map(str::lines).filter(|line| line.contains(&format!("/{id}/")));
    // To this machine: `BaseUrl` allows plain HTTP nowhere else.
    let links = lines.filter(|line| line.starts_with("http://") && BaseUrl::parse(line).is_ok());
    links.map(str::to_owned).next()
}

/// What the form on the page sends when the code is typed and Approve is pressed.
struct Form {
    action: String,
    body: String,
}

impl Form {
    fn on(page: &str) -> Option<Self> {
        let form = page.split_once("<form method=\"post\"")?.1;
        let action = between(form, "action=\"", "\"")?;
        let secret = between(form, "name=\"secret\" value=\"", "\"")?;
        let label = between(form, "<label for=\"code\">", "</label>")?;
        let code: String = label.chars().filter(char::is_ascii_digit).collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let understood = code.len() == 6 && secret.chars().all(plain) && BaseUrl::parse(action).is_ok();
        let body = format!("secret={secret}&code={code}&note=&verdict=approve");
        understood.then(|| Self { action: action.to_owned(), body })
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}
