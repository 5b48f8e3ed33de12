//! The mail to the approver: who asks, for what exactly, until when, and one button.
//!
//! The subject has a fixed form, without the agent's text. In the body the agent's text is escaped, misleading characters
//! are named, and text that others wrote is broken up so that a mail client makes no second link beside ours. A long
//! action is cut, and the mail says how much is missing. Values whose names suggest a secret are masked. The page shows
//! everything.

use sayso_cloud::Mail;
use sayso_model::{Agent, Masks, Request};

use inert::{ABOUT_BRACKETS, bracketed};
use shown::Shown;

mod html;
mod inert;
mod shown;
mod telling;

/// People reply to mails. This comes first, because a list of mails shows the first words.
const NO_REPLY: &str = "Replying to this mail decides nothing: open the link.";

/// The mail about `request`, with the deciding link. `masks` are those of its gate.
pub(crate) fn compose(agent: &Agent, request: &Request, masks: &Masks, link: &str) -> Mail {
    let id = request.id.to_string();
    let shown = Shown::of(request, masks);
    Mail {
        about: Some(request.id),
        to: agent.approver.email.clone(),
        // The id's last characters keep mail clients from folding two requests into one thread.
        subject: format!("Sayso: {} asks for your approval [{}]", request.agent, &id[id.len() - 6..]),
        text: text(request, link, &shown),
        html: html::html(request, link, &shown).into_string(),
    }
}

fn text(request: &Request, link: &str, shown: &Shown) -> String {
    let notes = shown.notes.iter().map(|note| format!("{note}\n\n")).collect::<String>();
    let cut = shown.cut.as_ref().map(|cut| format!("\n[{cut}]\n")).unwrap_or_default();
    let action = format!(
        "Tool: {tool}\n\
         Gate: {audience}\n\
         Arguments:\n{arguments}\n",
        tool = request.action.tool,
        audience = request.audience,
        arguments = indent(&shown.arguments),
    );
    let reason = shown.reason.as_ref().map(|reason| format!("\n\n{}", quote(reason))).unwrap_or_default();
    let words = format!("{}{reason}", quote(&shown.summary));
    let (inert_action, inert_words) = (bracketed(&action), bracketed(&words));
    let about = if inert_action == action && inert_words == words {
        String::new()
    } else {
        format!("{ABOUT_BRACKETS}\n\n")
    };
    format!(
        "{NO_REPLY}\n\n\
         The agent {agent} asks for your approval.\n\n\
         {notes}{about}\
         {inert_action}{cut}\n\
         Read and decide here, before {closes}:\n{link}\n\n\
         The agent's own words (not checked by anyone):\n{inert_words}\n\n\
         --\n\
         {FOOTER}\n\
         Approval {id}\n",
        agent = bracketed(&request.agent.to_string()),
        closes = request.closes_at.for_people(),
        id = request.id,
    )
}

/// Wrapped for the plain text. HTML turns the line ends into spaces.
const FOOTER: &str = "You get this mail because the operator of this Sayso deployment named\n\
    you as the approver for this agent. The link is yours alone: anyone who\n\
    has this mail can decide, so do not forward it. If you did not expect it,\n\
    open it and deny. Nothing happens until you decide; without an answer\n\
    the request expires.";

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn quote(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}
