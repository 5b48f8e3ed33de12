//! The mail as HTML.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sayso_model::Request;

use super::inert::taken_apart;
use super::shown::Shown;
use super::{FOOTER, NO_REPLY};

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

/// The HTML part.
pub(super) fn html(request: &Request, link: &str, shown: &Shown) -> Markup {
    let label = "margin:20px 0 6px;font-size:13px;color:#5a606b;";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="supported-color-schemes" content="light dark";
                // Apple's clients make links of what looks like a number to call, a date or an address.
                meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no";
                title { "Approval needed" }
                style { (PreEscaped(STYLE)) }
            }
            body.body style={ "margin:0;padding:16px;background:#eef0f3;color:#16181d;" (FONT) } {
                div.card style="max-width:560px;margin:0 auto;background:#ffffff;border:1px solid #d9dce2;border-radius:10px;padding:24px;" {
                    h1 style="font-size:20px;line-height:1.35;margin:0 0 4px;" {
                        (taken_apart(request.agent.as_str())) " asks for your approval"
                    }
                    p.quiet style="margin:0;font-size:15px;color:#5a606b;" {
                        (NO_REPLY) " Decide before " strong { (request.closes_at.for_people()) } "."
                    }
                    p.quiet style=(label) { "Would run, at the gate " strong { (taken_apart(request.audience.as_str())) } }
                    @for note in &shown.notes { p style="margin:0 0 8px;font-size:16px;" { strong { (note) } } }
                    pre.code style=(CODE) {
                        strong { (taken_apart(request.action.tool.as_str())) } "\n" (taken_apart(&shown.arguments))
                    }
                    @if let Some(cut) = &shown.cut {
                        p style="margin:8px 0 0;font-size:16px;" { strong { (cut) } }
                    }
                    p style="margin:24px 0;" {
                        // `ses:no-track`: SES would rewrite the link to pass through its click counter.
                        a.button ses:no-track="" href=(link) style="display:inline-block;background:#1f4fbf;color:#ffffff;text-decoration:none;font-size:16px;font-weight:600;line-height:20px;padding:14px 22px;border-radius:8px;" {
                            "Review and decide"
                        }
                    }
                    p.quiet style=(label) { "The agent’s own words, not checked by anyone" }
                    div style="border-left:3px solid #c2c7d0;padding-left:12px;font-size:15px;line-height:1.5;white-space:pre-wrap;word-break:break-word;overflow-wrap:anywhere;" {
                        (taken_apart(&shown.summary))
                        @if let Some(reason) = &shown.reason { "\n\n" (taken_apart(reason)) }
                    }
                    p.quiet style="margin:24px 0 0;font-size:12px;line-height:1.5;color:#5a606b;" {
                        (FOOTER) br; "Approval " (request.id)
                    }
                }
            }
        }
    }
}
