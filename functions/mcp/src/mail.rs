//! The mail to the approver: who asks, for what exactly, until when, and one button.
//!
//! The subject has a fixed form in which nothing is the agent's. In the body the agent's text is escaped, its hidden
//! characters are named, and its addresses stand in brackets so that a mail client makes no second link beside ours. A long
//! action is cut in the mail, with a word on how much is missing; the page shows all of it.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sayso_cloud::Mail;
use sayso_model::{Agent, Request, reveal_to_string};

/// How much of an action's arguments the mail shows, in characters and in lines.
const MOST_CHARACTERS: usize = 2_000;
const MOST_LINES: usize = 40;

/// The mail about `request`, with the deciding link.
pub(crate) fn compose(agent: &Agent, request: &Request, link: &str) -> Mail {
    let id = request.id.to_string();
    let shown = Shown::of(request);
    Mail {
        about: request.id,
        to: agent.approver.email.clone(),
        // The id's last characters keep mail clients from folding two requests into one thread.
        subject: format!("Sayso: {} asks for your approval [{}]", request.agent, &id[id.len() - 6..]),
        text: text(request, link, &shown),
        html: html(request, link, &shown).into_string(),
    }
}

/// The agent's text, made fit for a mail.
struct Shown {
    arguments: String,
    cut: Option<String>,
    summary: String,
    reason: Option<String>,
}

impl Shown {
    fn of(request: &Request) -> Self {
        let full = request.action.arguments.indented();
        let end = full.match_indices('\n').nth(MOST_LINES - 1).map_or(full.len(), |(at, _)| at);
        let end = full.char_indices().nth(MOST_CHARACTERS).map_or(end, |(at, _)| at.min(end));
        let missing = full[end..].chars().count();
        let cut = (missing > 0).then(|| {
            format!("{missing} more characters are not shown in this mail. The page shows all of it: read it there before you decide.")
        });
        let honest = |text: &str| disarm(&reveal_to_string(text));
        Self {
            arguments: honest(&full[..end]),
            cut,
            summary: honest(request.summary.as_str()),
            reason: request.reason.as_ref().map(|reason| honest(reason.as_str())),
        }
    }
}

/// Keeps mail clients from turning text into a link: they do so for addresses with and without a scheme, so a dot
/// between a name and a letter, an at sign and a scheme's colon stand in brackets.
fn disarm(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        let links = match c {
            '.' => before.is_alphanumeric() && after.is_alphabetic(),
            '@' => !before.is_whitespace() && after.is_alphanumeric(),
            ':' => before.is_alphanumeric() && after == '/',
            _ => false,
        };
        if links {
            shown.extend(['[', c, ']']);
        } else {
            shown.push(c);
        }
        before = c;
    }
    shown
}

fn text(request: &Request, link: &str, shown: &Shown) -> String {
    let cut = shown.cut.as_ref().map(|cut| format!("\n[{cut}]\n")).unwrap_or_default();
    let reason = shown.reason.as_ref().map(|reason| format!("\n\n{}", quote(reason))).unwrap_or_default();
    format!(
        "The agent {agent} asks for your approval.\n\n\
         Tool: {tool}\n\
         Gate: {audience}\n\
         Arguments:\n{arguments}\n{cut}\n\
         Read and decide here, before {closes}:\n{link}\n\n\
         The agent's own words (not checked by anyone):\n{summary}{reason}\n\n\
         --\n\
         {footer}\n\
         Approval {id}\n",
        agent = request.agent,
        tool = request.action.tool,
        audience = request.audience,
        arguments = indent(&shown.arguments),
        closes = request.closes_at.for_people(),
        summary = quote(&shown.summary),
        footer = FOOTER,
        id = request.id,
    )
}

/// Broken for the plain text, at the width mail has always had; HTML folds the line ends into spaces.
const FOOTER: &str = "You get this mail because the operator of this Sayso deployment named\n\
    you as the approver for this agent. The link is yours alone: whoever has\n\
    this mail can decide, so do not forward it. If you did not expect it,\n\
    open it and deny. Nothing happens until you decide; without an answer\n\
    the request expires.";

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn quote(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// Colours as attributes for clients that drop the style sheet, which then only adds the dark scheme.
const STYLE: &str = "@media (prefers-color-scheme: dark) {\
    .body { background: #16181d !important; color: #e8e9ec !important } \
    .card { background: #1f2229 !important; border-color: #363b45 !important } \
    .code { background: #14161a !important; color: #e8e9ec !important; border-color: #363b45 !important } \
    .quiet { color: #a9afba !important } \
    .button { background: #8fb4ff !important; color: #0b1220 !important } }";

const FONT: &str =
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;";
const CODE: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;line-height:1.5;\
    white-space:pre-wrap;word-break:break-word;overflow-wrap:anywhere;background:#f4f5f7;color:#16181d;\
    border:1px solid #d9dce2;border-radius:6px;padding:12px;margin:0;";

fn html(request: &Request, link: &str, shown: &Shown) -> Markup {
    let label = "margin:20px 0 6px;font-size:13px;color:#5a606b;";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="supported-color-schemes" content="light dark";
                title { "Approval needed" }
                style { (PreEscaped(STYLE)) }
            }
            body.body style={ "margin:0;padding:16px;background:#eef0f3;color:#16181d;" (FONT) } {
                div.card style="max-width:560px;margin:0 auto;background:#ffffff;border:1px solid #d9dce2;border-radius:10px;padding:24px;" {
                    h1 style="font-size:20px;line-height:1.35;margin:0 0 4px;" {
                        (request.agent) " asks for your approval"
                    }
                    p.quiet style="margin:0;font-size:15px;color:#5a606b;" {
                        "Decide before " strong { (request.closes_at.for_people()) } "."
                    }
                    p.quiet style=(label) { "Would run, at the gate " strong { (request.audience) } }
                    pre.code style=(CODE) { strong { (request.action.tool) } "\n" (shown.arguments) }
                    @if let Some(cut) = &shown.cut {
                        p style="margin:8px 0 0;font-size:14px;" { strong { (cut) } }
                    }
                    p style="margin:24px 0;" {
                        // `ses:no-track`: SES would rewrite the link to pass through its click counter.
                        a.button ses:no-track="" href=(link) style="display:inline-block;background:#1f4fbf;color:#ffffff;text-decoration:none;font-size:16px;font-weight:600;line-height:20px;padding:14px 22px;border-radius:8px;" {
                            "Review and decide"
                        }
                    }
                    p.quiet style=(label) { "The agent’s own words, not checked by anyone" }
                    div style="border-left:3px solid #c2c7d0;padding-left:12px;font-size:15px;line-height:1.5;white-space:pre-wrap;word-break:break-word;overflow-wrap:anywhere;" {
                        (shown.summary)
                        @if let Some(reason) = &shown.reason { "\n\n" (reason) }
                    }
                    p.quiet style="margin:24px 0 0;font-size:12px;line-height:1.5;color:#5a606b;" {
                        (FOOTER) br; "Approval " (request.id)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::disarm;

    #[test]
    fn no_text_stays_that_a_mail_client_would_link() {
        let rows = [
            ("see https://evil.example/ok", "see https[:]//evil[.]example/ok"),
            ("sayso-approvals.com/ok", "sayso-approvals[.]com/ok"),
            ("WWW.evil.com", "WWW[.]evil[.]com"),
            ("a@evil.com", "a[@]evil[.]com"),
            ("mailto:a@b.de", "mailto:a[@]b[.]de"),
            ("Version 1.5. Then 3.14, e.g. this.", "Version 1.5. Then 3.14, e[.]g. this."),
        ];
        for (text, shown) in rows {
            assert_eq!(disarm(text), shown);
        }
    }
}
