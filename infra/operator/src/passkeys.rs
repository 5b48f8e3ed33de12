use sayso_cloud::operator::WhichPasskeys;
use sayso_cloud::{Mail, random};
use sayso_model::passkey::{Invitation, InvitationToken, Passkey};
use sayso_model::{ApproverId, EmailAddress, Timestamp};
use serde_json::json;

use crate::arguments::Invite;
use crate::connection::Deployment;
use crate::outcome::{Report, Stopped};
use crate::terminal::{count, one_line, table};

/// Makes an invitation, mails its link, and shows the code that goes with it: here, and nowhere else.
pub(crate) async fn invite(to: &Deployment, invite: &Invite, now: Timestamp) -> Result<Report, Stopped> {
    let id = &invite.id;
    let page = invite.page_url.as_ref().or(to.page_url.as_ref()).cloned().ok_or_else(|| {
        Stopped::usage(
            "say where approvers read: --page-url URL (the stack's output PageUrl, or SAYSO_PAGE_URL)",
        )
    })?;
    let approver = to.registry.approver(id).await?;
    let approver = approver.ok_or_else(|| {
        Stopped::not_done(format!(
            "no approver {id} is registered: `sayso approver add {id} EMAIL` registers one"
        ))
    })?;
    let sender = sender(to, invite)?;
    let signer = to.enrolment_signer().await?;
    let code = random::invitation_code();
    let invitation = Invitation::new(random::invitation_id(), id.clone(), page, &code, now);
    // The one before is void: two links for one person are one too many to keep track of.
    to.registry.void_invitations(id, now).await?;
    let unsigned = invitation.to_sign(&signer.public_key().id());
    let signature = signer.sign(unsigned.digest()).await?;
    let link = invitation.link(&InvitationToken::from_text(&unsigned.signed(&signature)));
    let address = approver.approver.email.masked();
    let mut text = match sender {
        Some(sender) => {
            let mail = mail(&invitation, &link, approver.approver.email);
            to.mailer(sender).send(&mail).await.map_err(|error| {
                Stopped::not_done(format!(
                    "the invitation was not mailed ({}): nobody is invited",
                    error.failure()
                ))
            })?;
            format!(
                "Mailed an invitation to {id}, {address}. It is good until {}, once.\n\n",
                invitation.expires_at
            )
        }
        None => {
            format!("An invitation for {id}, good until {}, once:\n\n  {link}\n\n", invitation.expires_at)
        }
    };
    let code = code.expose();
    text.push_str(&format!(
        "Its code, shown only now:\n\n  {code}\n\nTell it to the approver, in person, by phone or in a chat: not by mail. Whoever has the link and the code can enrol.\n"
    ));
    let json = json!({
        "approver": id.as_str(),
        "code": code,
        "expires_at": invitation.expires_at.to_string(),
        "link": invite.print.then_some(link),
    });
    Ok(Report::done(text, json))
}

/// Who the mail comes from, if one is to be sent.
fn sender(to: &Deployment, invite: &Invite) -> Result<Option<EmailAddress>, Stopped> {
    match (invite.print, &invite.sender, &to.outbox) {
        (true, ..) => Ok(None),
        (false, Some(sender), _) => Ok(Some(sender.clone())),
        // The local outbox takes any sender.
        (false, None, Some(_)) => EmailAddress::parse("sayso@localhost").map(Some).map_err(Stopped::usage),
        (false, None, None) => Err(Stopped::usage(
            "say who the mail comes from: --sender EMAIL (the stack's parameter SenderEmail, or SAYSO_SENDER), or take --print and bring the link to the approver yourself",
        )),
    }
}

fn mail(invitation: &Invitation, link: &str, to: EmailAddress) -> Mail {
    let until = invitation.expires_at.for_people();
    let text = format!(
        "You are invited to add a passkey, to approve what AI agents ask for.\n\n\
         Open this link on the device that you want to approve with, before {until}:\n\n\
         {link}\n\n\
         You also need a code of sixteen letters and digits. The person who invited you will tell it to you; it does not come by mail.\n\n\
         If you did not expect this, do nothing: without the code nobody can use the link. Answering this mail does nothing.\n"
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"></head>\
         <body style=\"font: 16px/1.5 sans-serif\"><p>You are invited to add a passkey, to approve what AI agents ask for.</p>\
         <p>Open this link on the device that you want to approve with, before {until}:</p>\
         <p><a ses:no-track href=\"{link}\">Add a passkey</a></p>\
         <p>You also need a code of sixteen letters and digits. The person who invited you will tell it to you; it does not come by mail.</p>\
         <p>If you did not expect this, do nothing: without the code nobody can use the link. Answering this mail does nothing.</p>\
         </body></html>"
    );
    Mail { about: None, to, subject: "Sayso: add your passkey".to_owned(), text, html }
}

pub(crate) async fn list(to: &Deployment, id: &ApproverId) -> Result<Report, Stopped> {
    let keys = to.enrolment_signer().await?.keys();
    let passkeys = to.registry.passkeys(id, &keys).await?;
    let row = |passkey: &Passkey| {
        let (label, name) = (passkey.credential.label(), one_line(passkey.name.as_str()));
        let synced = if passkey.can_be_synced { "yes" } else { "no" };
        [label, name, passkey.page.host().to_owned(), passkey.created_at.to_string(), synced.to_owned()]
    };
    let rows: Vec<_> = passkeys.enrolled.iter().map(row).collect();
    let mut text = if rows.is_empty() {
        format!("The approver {id} has no passkey: `sayso approver invite {id}` invites to enrol one.\n")
    } else {
        table(["PASSKEY", "NAME", "PAGE", "SINCE", "SYNCED"], &rows)
    };
    if passkeys.unsigned > 0 {
        text.push_str(&format!(
            "\n{} not signed with this key: somebody else has written to the table, or the key is another one now. They count for nothing. `sayso approver remove-passkey {id} --unsigned` removes them.\n",
            count(passkeys.unsigned, "record")
        ));
    }
    let listed: Vec<_> = passkeys
        .enrolled
        .iter()
        .map(|passkey| {
            json!({
                "passkey": passkey.credential.label(),
                "credential": passkey.credential.to_string(),
                "name": passkey.name.as_str(),
                "page": passkey.page.as_str(),
                "created_at": passkey.created_at.to_string(),
                "can_be_synced": passkey.can_be_synced,
            })
        })
        .collect();
    let json = json!({"approver": id.as_str(), "passkeys": listed, "unsigned": passkeys.unsigned});
    Ok(Report::done(text, json))
}

pub(crate) async fn remove(
    to: &Deployment,
    id: &ApproverId,
    passkey: Option<String>,
) -> Result<Report, Stopped> {
    let keys = to.enrolment_signer().await?.keys();
    let which = passkey.map_or(WhichPasskeys::Unsigned, WhichPasskeys::Labelled);
    if which == WhichPasskeys::Unsigned && to.registry.passkeys(id, &keys).await?.enrolled.is_empty() {
        return Err(Stopped::not_done(format!(
            "none of the records of {id} is signed with this key, so it may be the wrong one: compare --enrolment-key with the stack's output EnrolmentKeyId. If it is right, they count for nothing, and `sayso approver invite {id}` goes on"
        )));
    }
    let removed = to.registry.remove_passkeys(id, &which, &keys).await?;
    let text = match &which {
        WhichPasskeys::Labelled(label) => {
            format!("Removed the passkey {label} of the approver {id}: it proves nothing any more.\n")
        }
        WhichPasskeys::Unsigned => {
            format!(
                "Removed {} of the approver {id} that are not signed with this key.\n",
                count(removed, "record")
            )
        }
    };
    Ok(Report::done(text, json!({"approver": id.as_str(), "removed": removed})))
}
