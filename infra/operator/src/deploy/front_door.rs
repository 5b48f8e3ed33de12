//! Whether the functions can be called at all, at the deployment's own addresses.

use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use reqwest::{Client, Response, StatusCode};
use sayso_model::BaseUrl;
use sayso_model::token::{Issuer, Jwks};

use crate::connection::read;
use crate::trial::Failed;

/// Checks that `redeem` publishes keys, and returns how many.
pub(super) async fn redeem(http: &Client, issuer: &Issuer) -> Result<usize, Failed> {
    let request = http.get(format!("{issuer}/.well-known/jwks.json"));
    let answer = answered("redeem", "--issuer", request.send().await)?;
    expected("redeem", answer.status(), StatusCode::OK)?;
    let keys = read(answer).await.and_then(|keys| serde_json::from_str::<Jwks>(&keys).ok());
    keys.map(|set| set.keys.len()).filter(|keys| *keys > 0).ok_or_else(|| {
        Failed::new("it answers, but publishes no keys", "compare --issuer with the stack's output Issuer")
    })
}

/// Checks that `mcp` lets nobody in without a key.
pub(super) async fn mcp(http: &Client, mcp_url: &BaseUrl) -> Result<(), Failed> {
    let request = http.post(mcp_url.as_str()).header(CONTENT_TYPE, "application/json").body("{}");
    let answer = answered("mcp", "--mcp-url", request.send().await)?;
    expected("mcp", answer.status(), StatusCode::UNAUTHORIZED)
}

/// Checks that `page` answers, with the headers that keep it from being framed, cached or sent as a referrer.
pub(super) async fn page(http: &Client, status_url: &str) -> Result<(), Failed> {
    let answer = answered("page", "PAGE_URL of the mcp function", http.get(status_url).send().await)?;
    expected("page", answer.status(), StatusCode::OK)?;
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        let found = answer.headers().get(&name).and_then(|found| found.to_str().ok()).unwrap_or_default();
        if !found.contains(value) {
            return Err(Failed::new(
                format!("the page comes without its header {name}"),
                "something in front of the page function changes its answers. Fix it before approvers use it",
            ));
        }
    }
    Ok(())
}

fn answered(
    function: &str,
    setting: &str,
    answer: Result<Response, reqwest::Error>,
) -> Result<Response, Failed> {
    answer.map_err(|error| {
        let what = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Failed::new(
            format!("the {function} function {what}"),
            format!(
                "compare {setting} with the stack's outputs, and try its host with curl. Behind a proxy, set HTTPS_PROXY and AWS_CA_BUNDLE. With a domain name of your own, check that it is served yet"
            ),
        )
    })
}

/// Checks the status. Another one may come from the front door instead of the function; the advice says what it means.
fn expected(function: &str, status: StatusCode, wanted: StatusCode) -> Result<(), Failed> {
    if status == wanted {
        return Ok(());
    }
    let advice = match status {
        StatusCode::FORBIDDEN => {
            "nobody is permitted to call it. A Function URL needs two permissions (lambda:InvokeFunctionUrl, lambda:InvokeFunction), and no policy of the organisation may forbid it: look at the function's resource-based policy, and deploy with FrontDoor=http-api if public Function URLs are forbidden (docs/deploying.md)"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            "another function, or another deployment, answers there: compare the flags with the stack's outputs"
        }
        StatusCode::TOO_MANY_REQUESTS => {
            "it is throttled: the account has no concurrent execution left, or its …Concurrency is too small (`sayso deploy check`)"
        }
        status if status.is_server_error() => {
            "read the end of its log. A call to AWS that failed is named there; so is a variable or a key with which it cannot start. `exec format error` is the wrong Architecture, `Illegal instruction` a build for another processor (docs/deploying.md). No line at all, with FrontDoor=http-api: the API is not permitted to invoke it"
        }
        _ => "read its log, and compare the flags with the stack's outputs",
    };
    Err(Failed::new(format!("the {function} function answers HTTP {}", status.as_u16()), advice))
}
