use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use scraper::{Html, Selector};

use crate::loopback;

/// What an approver presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// A browser as far as pages without scripts need one: it follows links and sends forms.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
}

/// A page as it arrived.
#[derive(Debug, Clone)]
pub struct Page {
    /// The address it came from.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The source.
    pub html: String,
}

/// A form on a page, with the values it has as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it goes, absolute.
    pub action: String,
    /// Upper case.
    pub method: String,
    /// Inputs and text areas, by name.
    pub fields: BTreeMap<String, String>,
    /// The submit buttons that can be pressed, as name and value.
    pub buttons: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let http = loopback::client().redirect(reqwest::redirect::Policy::none()).build();
        Self { http: http.expect("a client") }
    }

    /// Sends any request.
    pub async fn request(&self, method: &str, url: &str, body: Option<String>) -> Page {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Page { url: url.to_owned(), status, headers, html: answer.text().await.expect("a text") }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> Page {
        self.request("GET", url, None).await
    }

    /// Sends a form with these fields changed and this button pressed.
    pub async fn submit(&self, form: &Form, changes: &[(&str, &str)], button: Option<(&str, &str)>) -> Page {
        let mut fields = form.fields.clone();
        fields.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        fields.extend(button.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let body =
            fields.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&");
        self.request(&form.method, &form.action, Some(body)).await
    }

    /// Does what an approver does: opens the link, types the code the page shows, presses a button.
    pub async fn decide(&self, link: &crate::Link, verdict: Verdict, note: &str) -> Page {
        let page = self.open(&link.0).await;
        let form = page.form();
        let code = page.code();
        self.submit(&form, &[("code", &code), ("note", note)], Some(("verdict", verdict.as_str()))).await
    }
}

impl Page {
    /// The text a reader sees, with white space folded.
    pub fn text(&self) -> String {
        let document = Html::parse_document(&self.html);
        let body = document.select(&selector("body")).next().expect("a body");
        body.text().collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// All forms.
    pub fn forms(&self) -> Vec<Form> {
        let document = Html::parse_document(&self.html);
        let base = reqwest::Url::parse(&self.url).expect("an address");
        let (form, button) = (selector("form"), selector("button:not([disabled])"));
        let forms = document.select(&form).map(|form| {
            let attribute = |element: scraper::ElementRef<'_>, name: &str| {
                element.attr(name).unwrap_or_default().to_owned()
            };
            let mut fields = BTreeMap::new();
            for input in form.select(&selector("input[name]")) {
                fields.insert(attribute(input, "name"), attribute(input, "value"));
            }
            for area in form.select(&selector("textarea[name]")) {
                fields.insert(attribute(area, "name"), area.text().collect());
            }
            let buttons = form
                .select(&button)
                .map(|button| (attribute(button, "name"), attribute(button, "value")))
                .collect();
            let action = base.join(&attribute(form, "action")).expect("an address").to_string();
            Form { action, method: attribute(form, "method").to_uppercase(), fields, buttons }
        });
        forms.collect()
    }

    /// The one form of a deciding page.
    pub fn form(&self) -> Form {
        self.forms().into_iter().next().unwrap_or_else(|| panic!("no form: {} {}", self.status, self.text()))
    }

    /// The code a deciding page shows beside the field it is typed into: six digits in two groups.
    pub fn code(&self) -> String {
        let document = Html::parse_document(&self.html);
        let label = selector("label[for=code]");
        let shown = document.select(&label).flat_map(|label| label.text()).collect::<String>();
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(digits.len(), 6, "no code in: {shown:?} of {}", self.text());
        digits
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Every address on the page.
    pub fn links(&self) -> Vec<String> {
        let document = Html::parse_document(&self.html);
        let base = reqwest::Url::parse(&self.url).expect("an address");
        let href = selector("[href]");
        let hrefs = document.select(&href).filter_map(|a| a.attr("href").map(str::to_owned));
        hrefs.filter_map(|href| base.join(&href).ok().map(|url| url.to_string())).collect()
    }
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).expect("a selector")
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}
