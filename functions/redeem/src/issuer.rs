use http::header::HOST;
use http::request::Parts;
use lambda_http::request::RequestContext;
use sayso_model::BaseUrl;

use crate::problem::Problem;

/// This function's own address, which is the `iss` of every token it accepts unless it has a name. A template cannot give a function its own
/// URL, so it comes from the event; where there is no event, from the `Host` that was called. A caller who invents a
/// `Host` gains nothing: tokens are signed for the true one.
pub(crate) fn own_url(parts: &Parts) -> Result<BaseUrl, Problem> {
    let host = match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.as_deref(),
        _ => parts.headers.get(HOST).and_then(|host| host.to_str().ok()),
    };
    let host = host.ok_or_else(|| Problem::malformed("it names no host"))?;
    // Plain HTTP is for loopback, and `BaseUrl` allows it nowhere else.
    BaseUrl::parse(&format!("http://{host}"))
        .or_else(|_| BaseUrl::parse(&format!("https://{host}")))
        .map_err(|_| Problem::malformed("its host is none"))
}
