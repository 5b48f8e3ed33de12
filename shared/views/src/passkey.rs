//! What a page needs to use or to make a passkey: the one script, and what it fills in.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

use super::layout;

/// The one script, inline in the pages that use a passkey, and in no other.
pub(crate) const SCRIPT: &str = include_str!("passkey.js");

/// What `script-src` allows where a passkey is used: `'sha256-…'` of the one script.
pub(crate) fn script_source() -> &'static str {
    static SOURCE: LazyLock<String> =
        LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()))));
    &SOURCE
}

/// The button, what is said when something went wrong, and the way out of a browser that has no passkeys. All of it is hidden
/// until the script shows it.
pub(crate) fn parts(button: &str) -> Markup {
    html! {
        input type="hidden" name="credential" value="";
        div.verdicts.alone { button type="button" data-part="use" hidden { (button) } }
        p.error role="alert" data-part="message" hidden {}
        div.banner data-part="elsewhere" hidden {
            p {
                b { "If no passkey is offered here: " }
                "A browser inside a mail app may have none. Open this page in your usual browser."
            }
            label { "The link to this page" input.link type="text" readonly data-part="link" value=""; }
            div.verdicts.alone { button type="button" data-part="copy" { "Copy the link" } }
        }
        noscript {
            p.banner { "Passkeys need JavaScript, and it does not run here. Open this page in another browser." }
        }
    }
}

/// Where an invitation leads. The invitation itself is in the address's fragment, which only the script reads.
pub fn enrolment(target: &str) -> Markup {
    let main = html! {
        h1 { "Add a passkey" }
        p.lead {
            "With a passkey, nobody who reads your mail can approve in your name. Your device asks for your fingerprint, your face or its PIN, and keeps the key."
        }
        section aria-labelledby="enrolment" {
            h2 #enrolment { "Your passkey" }
            form method="post" action=(target) data-passkey="enrol" {
                button type="submit" disabled hidden {}
                input type="hidden" name="invitation" value="";
                div {
                    label for="code" {
                        "The code from your operator"
                        small { "Sixteen letters and digits, which did not come by mail. If you have none, ask the person who invited you." }
                    }
                    input.wide #code name="code" type="text" autocomplete="off" autocapitalize="characters" autocorrect="off"
                        spellcheck="false" required;
                }
                div {
                    label for="name" { "A name for it " small { "So that you can tell your passkeys apart." } }
                    input.wide #name name="name" type="text" maxlength="60" autocomplete="off" value="My passkey" required;
                }
                (parts("Make the passkey"))
            }
        }
    };
    layout::document_with_script("Add a passkey", "Passkey", &main)
}

/// The passkey counts from now on.
pub fn enrolled(name: &str, label: &str) -> Markup {
    layout::notice(
        "Your passkey is enrolled",
        &[
            &format!("“{name}” ({label}) is ready. You can now approve with it."),
            "If you did not do this yourself, tell the people who run this service at once.",
        ],
    )
}

/// Nothing was enrolled: why, and what to do.
pub fn not_enrolled(problem: &str) -> Markup {
    layout::notice("No passkey was enrolled", &[problem])
}
