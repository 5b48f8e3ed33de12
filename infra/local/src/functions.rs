//! The functions themselves, over one set of endpoints: as their `main` makes them, but for the clock.

use std::sync::Arc;

use axum::Router;
use sayso_cloud::{Aws, KeyIds, StartError};
use sayso_model::{BaseUrl, Invalid};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::outbox::Mail;
use crate::settings::{Clocks, Settings};

/// What each function with a URL knows of the next.
pub(crate) struct Urls {
    /// In the mails.
    pub(crate) page: BaseUrl,
    /// Where the page's form goes.
    pub(crate) decide: BaseUrl,
    /// Where the form of an invitation goes.
    pub(crate) enrol: BaseUrl,
    /// Who signs.
    pub(crate) issuer: BaseUrl,
}

impl Urls {
    pub(crate) fn parse(page: &str, decide: &str, issuer: &str, enrol: &str) -> Result<Self, Invalid> {
        let [page, decide, issuer, enrol] = [page, decide, issuer, enrol].map(BaseUrl::parse);
        Ok(Self { page: page?, decide: decide?, issuer: issuer?, enrol: enrol? })
    }
}

/// The functions, connected.
pub(crate) struct Functions {
    pub(crate) mcp: Router,
    pub(crate) page: Router,
    pub(crate) decide: Router,
    pub(crate) redeem: Router,
    pub(crate) enrol: Router,
    pub(crate) feedback: sayso_feedback::Deps,
}

impl Functions {
    pub(crate) async fn connect(
        aws: &Aws,
        table: &str,
        (keys, enrolment_key): (KeyIds, KeyIds),
        settings: Settings,
        clocks: Clocks,
        urls: Urls,
    ) -> Result<Self, StartError> {
        let (table, page_url) = (table.to_owned(), urls.page.clone());
        let retention = settings.retention;
        let mcp = sayso_mcp::Settings {
            table: table.clone(),
            keys: keys.clone(),
            page_url: urls.page.clone(),
            mail_from: settings.mail_from,
            reply_to: settings.reply_to,
            configuration_set: None,
            token_lifetime: settings.token_lifetime,
            retention,
            limits: settings.limits,
            longest_wait: sayso_model::LongestWait::default(),
            origins: sayso_mcp::Origins::Loopback,
        };
        let page = sayso_page::Settings {
            table: table.clone(),
            keys: keys.clone(),
            decide_url: urls.decide,
            enrol_url: urls.enrol,
        };
        let decide = sayso_decide::Settings {
            table: table.clone(),
            keys: keys.clone(),
            enrolment_key: enrolment_key.clone(),
            page_url: Some(page_url),
            issuer: urls.issuer,
            retention,
        };
        let redeem = sayso_redeem::Settings { table: table.clone(), keys, retention, issuer: None };
        let enrol = sayso_enrol::Settings { table: table.clone(), enrolment_key };
        let feedback = sayso_feedback::Settings { table: table.clone(), retention };
        Ok(Self {
            mcp: sayso_mcp::router(sayso_mcp::Deps::connect(aws, mcp, clocks.mcp).await?),
            page: sayso_page::router(sayso_page::Deps::connect(aws, page, clocks.page).await?),
            decide: sayso_decide::router(sayso_decide::Deps::connect(aws, decide, clocks.decide).await?),
            redeem: sayso_redeem::router(sayso_redeem::Deps::connect(aws, redeem, clocks.redeem).await?),
            enrol: sayso_enrol::router(sayso_enrol::Deps::connect(aws, enrol, clocks.enrol).await?),
            feedback: sayso_feedback::Deps::connect(aws, feedback, clocks.feedback),
        })
    }
}

/// Tells the `feedback` function what became of mails to the addresses of SES's mailbox simulator.
pub(crate) async fn simulate(mut mails: Receiver<Arc<Mail>>, feedback: sayso_feedback::Deps) {
    loop {
        match mails.recv().await {
            Ok(mail) => {
                if let Some(fate) = mail.simulated_fate() {
                    // What could not be recorded is in the function's log.
                    let _ = sayso_feedback::record(&feedback, mail.event(fate, 0)).await;
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
