use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Program;

const MISSING: &str = "Chromium or its driver is missing: on Debian, apt-get install chromium chromium-driver; elsewhere, put \
                       `chromium` and `chromedriver` of one version on the PATH. (tests/run does it.)";

/// What a page is looked at with.
#[derive(Debug, Clone, Copy)]
pub struct Device {
    /// In file names.
    pub name: &'static str,
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Device pixels to a CSS pixel.
    pub scale: f64,
    /// Whether it is held in a hand: touched, and with a viewport of its own.
    pub is_phone: bool,
}

/// An ordinary phone.
pub const PHONE: Device = Device { name: "phone", width: 390, height: 844, scale: 2.0, is_phone: true };
/// An ordinary window.
pub const DESKTOP: Device = Device { name: "desktop", width: 1280, height: 900, scale: 1.0, is_phone: false };

/// The colours a person prefers.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    /// As style sheets call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Headless Chromium, driven as WebDriver drives it. Driver and browser are killed, by the driver's id, when this is dropped.
pub struct Chromium {
    client: Client,
    driver: Program,
    _profile: TempDir,
}

impl Chromium {
    /// Starts a browser of its own, with nothing in its profile.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let (driver, url) = start_driver().await;
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--force-color-profile=srgb",
            "--hide-scrollbars",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().cloned().unwrap_or_default());
        let client = timeout(Duration::from_secs(60), builder.connect(&url)).await.expect("Chromium in time");
        let client = client.unwrap_or_else(|e| panic!("{e}\n{}", driver.output()));
        Self { client, driver, _profile: profile }
    }

    /// What goes beyond this module.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// The address of what it shows.
    pub async fn url(&self) -> String {
        self.client.current_url().await.expect("an address").to_string()
    }

    /// Becomes this device.
    pub async fn look_with(&self, device: Device) {
        let Device { width, height, scale, is_phone, .. } = device;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone});
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
        let touch = json!({"enabled": device.is_phone, "maxTouchPoints": 5});
        self.command("Emulation.setTouchEmulationEnabled", touch).await;
    }

    /// Prefers these colours.
    pub async fn prefer(&self, scheme: Scheme) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme.name()}]);
        self.command("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// The whole page as a PNG, however long.
    pub async fn picture(&self) -> Vec<u8> {
        let size = "const page = document.documentElement;
                    return [page.clientWidth, Math.max(page.scrollHeight, page.clientHeight)]";
        let size = self.run(size, json!([])).await;
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        self.capture(json!({"format": "png", "captureBeyondViewport": true, "clip": clip})).await
    }

    /// What is in the window, as a PNG.
    pub async fn window(&self) -> Vec<u8> {
        self.capture(json!({"format": "png"})).await
    }

    async fn capture(&self, options: Value) -> Vec<u8> {
        let taken = self.command("Page.captureScreenshot", options).await;
        BASE64.decode(taken["data"].as_str().expect("a picture")).expect("Base64")
    }

    /// Runs a script of the test's, which the page's own policy does not concern.
    pub async fn run(&self, script: &str, arguments: Value) -> Value {
        let arguments = arguments.as_array().cloned().unwrap_or_default();
        self.client.execute(script, arguments).await.unwrap_or_else(|e| panic!("{e} in {script}"))
    }

    /// Runs a script of the test's until it calls its first argument, with what it gives that.
    pub async fn run_until_done(&self, script: &str) -> Value {
        let result = self.client.execute_async(script, Vec::new()).await;
        result.unwrap_or_else(|e| panic!("{e} in {script}"))
    }

    /// Presses a key and lets it go.
    pub async fn press(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.expect("a key");
    }

    /// Types, key by key.
    pub async fn type_text(&self, text: &str) {
        for key in text.chars() {
            self.press(key).await;
        }
    }

    /// Lets the page do whatever it is about to do: two frames and what they lead to.
    pub async fn settle(&self) {
        let script = "const done = arguments[0];
            requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50)));";
        self.client.execute_async(script, Vec::new()).await.expect("two frames");
    }

    /// Waits until this is on the page.
    pub async fn wait_for(&self, css: &str) {
        self.client.wait().for_element(Locator::Css(css)).await.unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// What the console has said since this was last asked, violations of a policy included.
    pub async fn console(&self) -> Vec<String> {
        let log = self.vendor("se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// A command of the DevTools protocol.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        self.vendor("goog/cdp/execute", json!({"cmd": name, "params": parameters})).await
    }

    async fn vendor(&self, path: &'static str, body: Value) -> Value {
        let answer = self.client.issue_cmd(Vendor { path, body }).await;
        answer.unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The driver, killed alone, would leave its browser behind: it leads a group of their own.
        let group = self.driver.id().map(|id| format!("-{id}"));
        let _ = Blocking::new("kill").args(["-KILL", "--"]).args(group).stderr(Stdio::null()).status();
    }
}

async fn start_driver() -> (Program, String) {
    for program in ["chromium", "chromedriver"] {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        assert!(found.is_ok_and(|status| status.success()), "{MISSING}");
    }
    let mut command = Command::new("chromedriver");
    command.args(["--port=0", "--allowed-ips=127.0.0.1"]).process_group(0);
    let mut driver = Program::start(command);
    let line = driver.line_with("started successfully on port").await;
    let port = line.trim_end_matches('.').rsplit(' ').next().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    (driver, url)
}

/// A command that only Chromium's driver has.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
