use sayso_cloud::Clock;
use sayso_model::{EmailAddress, Invalid, Limits, Retention, TokenLifetime};

/// What the functions are told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `mcp` function's port; page, decide, redeem, the outbox and enrol take the next five. Zero takes any six.
    pub port: u16,
    /// The sender of the mails.
    pub mail_from: EmailAddress,
    /// Where answers to them go.
    pub reply_to: EmailAddress,
    /// How long a token is valid.
    pub token_lifetime: TokenLifetime,
    /// How long answered approvals are kept.
    pub retention: Retention,
    /// How much may be asked.
    pub limits: Limits,
}

impl Settings {
    /// The defaults, from `port` on.
    pub fn new(port: u16) -> Result<Self, Invalid> {
        let mail_from = EmailAddress::parse("sayso@localhost")?;
        Ok(Self {
            port,
            reply_to: mail_from.no_reply(),
            mail_from,
            token_lifetime: TokenLifetime::default(),
            retention: Retention::default(),
            limits: Limits::default(),
        })
    }
}

/// The clock of each function: on AWS each runs on a machine of its own.
#[derive(Clone)]
pub struct Clocks {
    /// The agent's function.
    pub mcp: Clock,
    /// The page.
    pub page: Clock,
    /// The decision.
    pub decide: Clock,
    /// The gate's function.
    pub redeem: Clock,
    /// The enrolment of passkeys.
    pub enrol: Clock,
    /// What takes SES's reports.
    pub feedback: Clock,
}

impl From<Clock> for Clocks {
    fn from(one: Clock) -> Self {
        let [mcp, page, decide, redeem, enrol] = [(); 5].map(|()| one.clone());
        Self { mcp, page, decide, redeem, enrol, feedback: one }
    }
}
