use sayso_cloud::{Aws, Signer, random};
use sayso_model::passkey::{Invitation, InvitationCode, InvitationToken};
use sayso_model::{ApproverId, BaseUrl};
use serde_json::Value;

use crate::{Authenticator, Ceremony, Page, World};

/// What an approver is given: the mailed token, and the code.
#[derive(Clone)]
pub struct Invited {
    /// In the fragment of the mailed link.
    pub token: String,
    /// By another way than mail.
    pub code: String,
}

impl World {
    /// The operator's key for invitations and passkeys, which `enrol` signs with as well.
    pub async fn enrolment_signer(&self) -> Signer {
        let aws = Aws::at(self.backends.endpoints.clone());
        let key = self.backends.enrolment_key_arn.clone();
        Signer::connect(aws.kms(), key).await.expect("a signer")
    }

    /// An invitation, as `sayso approver invite` makes it.
    pub async fn invite(&self, approver: &str) -> Invited {
        self.invite_signed_by(approver, &self.enrolment_signer().await).await
    }

    /// One that another key has signed.
    pub async fn invite_signed_by(&self, approver: &str, signer: &Signer) -> Invited {
        self.invite_to(&self.host.page_url, approver, signer).await
    }

    /// One to another page.
    pub async fn invite_to(&self, page_url: &str, approver: &str, signer: &Signer) -> Invited {
        let code: InvitationCode = random::invitation_code();
        let page = BaseUrl::parse(page_url).expect("a page");
        let id = ApproverId::parse(approver).expect("an id");
        let invitation = Invitation::new(random::invitation_id(), id, page, &code, self.clock.now());
        let unsigned = invitation.to_sign(&signer.public_key().id());
        let signature = signer.sign(unsigned.digest()).await.expect("a signature");
        let token = InvitationToken::from_text(&unsigned.signed(&signature));
        Invited { token: token.expose().to_owned(), code: code.expose() }
    }

    /// Sends the form of the page for invitations.
    pub async fn enrol(&self, authenticator: &Authenticator, invited: &Invited) -> Page {
        let made = authenticator.register(&Ceremony::create(&invited.token, &self.host.page_url));
        self.send_enrolment(&made, invited).await
    }

    /// Sends that form with whatever a passkey has answered.
    pub async fn send_enrolment(&self, made: &Value, invited: &Invited) -> Page {
        let browser = self.browser();
        let form = browser.open(&format!("{}/passkey", self.host.page_url)).await.form();
        let (made, name) = (made.to_string(), "My phone");
        let fields = [
            ("invitation", invited.token.as_str()),
            ("code", &invited.code),
            ("name", name),
            ("credential", &made),
        ];
        browser.submit(&form, &fields, None).await
    }
}
