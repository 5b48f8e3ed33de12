//! The outbox for people: each mail as a mail client would show it, and all of them as JSON.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Mail, Outbox, guard};

const STYLE: &str = include_str!("page.css");
/// What a mail client lets a mail do: nothing but open its links outside.
const SANDBOX: &str = "allow-popups allow-popups-to-escape-sandbox";
/// Opens the mail's links in a new tab. It stands before the mail's own markup, which a `srcdoc` document permits
/// without falling into quirks mode.
const NEW_TAB: &str = r#"<base target="_blank">"#;

pub(super) fn router(outbox: Outbox) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/messages.json", get(list))
        .layer(map_response(guarded))
        .layer(guard::for_people())
        .with_state(outbox)
}

async fn list(State(outbox): State<Outbox>) -> Response {
    match outbox.mails() {
        Ok(mails) => Json(mails.iter().map(listed).collect::<Vec<_>>()).into_response(),
        Err(_) => unreadable(),
    }
}

fn listed(mail: &Mail) -> Value {
    let Mail { message_id, from, to, subject, text, html, headers: _, sent_at, tags: _ } = mail;
    json!({
        "message_id": message_id, "to": to, "from": from, "subject": subject, "text": text, "html": html,
        "sent_at": rfc3339(*sent_at),
    })
}

async fn show(State(outbox): State<Outbox>) -> Response {
    match outbox.mails() {
        Ok(mails) => {
            let policy = policy(&mails);
            ([(CONTENT_SECURITY_POLICY, policy)], Html(page(&mails).into_string())).into_response()
        }
        Err(_) => unreadable(),
    }
}

fn unreadable() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "The outbox cannot be read: see the terminal of the local host.\n")
        .into_response()
}

fn page(mails: &[Mail]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Outbox (" (mails.len()) ") · Sayso, local" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Outbox" }
                    p.count { (count(mails.len())) }
                    a.reload href="/" { "Reload" }
                }
                main {
                    p.notice role="note" {
                        strong { "Anyone who can read this page can decide." }
                        " These mails were not sent to anyone. Each holds the link that approves or denies, so this is for \
                         trying and developing on your own machine."
                    }
                    @if mails.is_empty() {
                        p.empty { "No mail yet. Reload after an agent has asked for approval." }
                    }
                    @for (age, mail) in mails.iter().rev().enumerate() {
                        (entry(mail, age == 0))
                    }
                }
            }
        }
    }
}

fn count(mails: usize) -> String {
    match mails {
        1 => "1 mail".to_owned(),
        mails => format!("{mails} mails, newest first"),
    }
}

fn entry(mail: &Mail, is_open: bool) -> Markup {
    html! {
        details.mail open[is_open] {
            summary {
                span.subject { (mail.subject) }
                span.line { span.label { "From" } " " span.address { (mail.from) } }
                span.line { span.label { "To" } " " span.address { (mail.to.join(", ")) } }
                time datetime=(rfc3339(mail.sent_at)) { (readable_time(mail.sent_at)) }
            }
            @if let Some(body) = &mail.html {
                div.frame {
                    iframe sandbox=(SANDBOX) loading="lazy" referrerpolicy="no-referrer"
                        title={ "Mail: " (mail.subject) } srcdoc={ (NEW_TAB) (body) } {}
                }
            }
            @if let Some(text) = &mail.text {
                details.part open[mail.html.is_none()] {
                    summary { "Plain text" }
                    pre { (text) }
                }
            }
            details.part {
                summary { "Headers" }
                dl {
                    dt { "Message-ID" } dd { (mail.message_id) }
                    @for (name, value) in &mail.headers {
                        dt { (name) } dd { (value) }
                    }
                }
            }
        }
    }
}

/// The mails' frames inherit this policy (a `srcdoc` has none of its own), so it permits what a mail is styled with:
/// `style` attributes, and by its hash each style sheet a mail carries. Scripts, images, fonts and requests: none.
fn policy(mails: &[Mail]) -> String {
    let sheets = mails.iter().filter_map(|mail| mail.html.as_deref()).flat_map(style_sheets);
    let hashes: BTreeSet<String> = sheets.chain([STYLE.to_owned()]).map(|sheet| source(&sheet)).collect();
    let hashes = hashes.into_iter().collect::<Vec<_>>().join(" ");
    format!(
        "default-src 'none'; style-src-elem {hashes}; style-src-attr 'unsafe-inline'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

fn source(sheet: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(sheet)))
}

/// The contents of the `<style>` elements in `html`, as a browser sees them: with its line ends.
fn style_sheets(html: &str) -> Vec<String> {
    let lower = html.to_ascii_lowercase();
    let mut sheets = Vec::new();
    let mut rest = 0;
    while let Some(sheet) = next_style_sheet(&lower, rest) {
        rest = sheet.end;
        sheets.extend(html.get(sheet).map(|sheet| sheet.replace("\r\n", "\n").replace('\r', "\n")));
    }
    sheets
}

fn next_style_sheet(lower: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let tag = from + lower.get(from..)?.find("<style")?;
    let start = tag + lower.get(tag..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</style")?;
    Some(start..end)
}

async fn guarded(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// A time no clock shows (beyond the year 9999) appears as the epoch.
fn timestamp(unix_seconds: i64) -> Timestamp {
    Timestamp::from_second(unix_seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn rfc3339(unix_seconds: i64) -> String {
    timestamp(unix_seconds).to_string()
}

fn readable_time(unix_seconds: i64) -> String {
    timestamp(unix_seconds).strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::style_sheets;

    #[test]
    fn finds_the_style_sheets_a_browser_would_apply() {
        let html = "<html><head><STYLE type='text/css'>a{}\r\nb{}</STYLE></head><style>ü{}</style><p>text</p><style>";
        assert_eq!(style_sheets(html), ["a{}\nb{}", "ü{}"]);
        assert!(style_sheets("<p>no sheet</p>").is_empty());
    }
}
