use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::{Roots, VariableError, optional, required};

/// Amazon's own roots (Amazon Trust Services), the only ones that a function needs in the commercial regions: parsing the
/// machine's whole root store costs a cold start some 8.5 million instructions, and trusts more than we use.
const ROOTS: &[u8] = include_bytes!("../roots/amazon-trust-services.pem");

/// How long a connection to AWS may take.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How long one attempt of a call to DynamoDB or KMS may take: short, so that a lost packet costs a retry and not the
/// caller's patience.
pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// The longest that one call may take, retries and the pauses between them included. The template gives each function the
/// time for as many whole calls in a row as it makes.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(8);

/// How often a read of SES is tried by a person's command: SES answers some of them once a second.
pub const READ_ATTEMPTS: u32 = 5;

/// How often a call to DynamoDB or KMS is tried. A send is tried once: see [`Aws::sesv2`].
pub const ATTEMPTS: u32 = 3;

/// The same limits for a person's machine, whose network may be slow and who waits: to connect, for one attempt, for the
/// call.
pub const INTERACTIVE_TIMEOUTS: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(30)];

/// Where the three services are. `None` is AWS's own endpoint in the region.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// DynamoDB.
    pub dynamodb: Option<String>,
    /// SES v2.
    pub sesv2: Option<String>,
    /// KMS.
    pub kms: Option<String>,
}

/// What every AWS client is made of: region, credentials, HTTP, time limits.
///
/// A Lambda is given region and credentials in its environment, so `aws-config` and its chain of providers (3 MB and
/// 1.4 million instructions of cold start) are left out.
#[derive(Debug, Clone)]
pub struct Aws {
    base: SdkConfig,
    endpoints: Endpoints,
}

impl Aws {
    /// From the environment Lambda gives: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`; and the endpoints, where they are set, by the names every AWS SDK knows
    /// (`AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_SESV2`, `AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL`). `EXTRA_ROOTS`
    /// holds certificates in PEM, for a partition or a network whose endpoints have others than Amazon's.
    pub fn from_env() -> Result<Self, VariableError> {
        let text = |value: &str| Ok::<_, std::convert::Infallible>(value.to_owned());
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID", text)?,
            required("AWS_SECRET_ACCESS_KEY", text)?,
            optional("AWS_SESSION_TOKEN", text)?,
            None,
            "environment",
        );
        let everywhere = optional("AWS_ENDPOINT_URL", text)?;
        let endpoint = |name| Ok::<_, VariableError>(optional(name, text)?.or_else(|| everywhere.clone()));
        let endpoints = Endpoints {
            dynamodb: endpoint("AWS_ENDPOINT_URL_DYNAMODB")?,
            sesv2: endpoint("AWS_ENDPOINT_URL_SESV2")?,
            kms: endpoint("AWS_ENDPOINT_URL_KMS")?,
        };
        let roots = optional("EXTRA_ROOTS", Roots::parse_variable)?;
        Ok(Self::new(required("AWS_REGION", text)?, credentials, endpoints, roots.as_ref()))
    }

    /// For endpoints that check no credentials: the local host's.
    pub fn at(endpoints: Endpoints) -> Self {
        let credentials = Credentials::new("local", "local", None, None, "local");
        Self::new("us-east-1".to_owned(), credentials, endpoints, None)
    }

    /// For a person's machine, whose region, credentials and HTTP come from AWS's chain of providers: patient with its network.
    pub fn of(config: &SdkConfig) -> Self {
        let base = config
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(within(INTERACTIVE_TIMEOUTS))
            .build();
        Self { base, endpoints: Endpoints::default() }
    }

    fn new(region: String, credentials: Credentials, endpoints: Endpoints, roots: Option<&Roots>) -> Self {
        let base = SdkConfig::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client(roots))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(within([CONNECT_LIMIT, ATTEMPT_LIMIT, OPERATION_LIMIT]))
            .build();
        Self { base, endpoints }
    }

    /// A DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.base);
        aws_sdk_dynamodb::Client::from_conf(match &self.endpoints.dynamodb {
            Some(url) => config.endpoint_url(url).build(),
            None => config.build(),
        })
    }

    /// An SES v2 client. A send is tried once, and given all the time there is: whether one that timed out was accepted
    /// cannot be known, and the agent's retry is what sends again.
    pub fn sesv2(&self) -> aws_sdk_sesv2::Client {
        let patient = within([CONNECT_LIMIT, OPERATION_LIMIT, OPERATION_LIMIT]);
        let config = aws_sdk_sesv2::config::Builder::from(&self.base)
            .retry_config(RetryConfig::disabled())
            .timeout_config(patient);
        aws_sdk_sesv2::Client::from_conf(match &self.endpoints.sesv2 {
            Some(url) => config.endpoint_url(url).build(),
            None => config.build(),
        })
    }

    /// An SES v2 client that only reads: SES answers one read a second, so it asks again more often.
    pub fn sesv2_reads(&self) -> aws_sdk_sesv2::Client {
        let config = aws_sdk_sesv2::config::Builder::from(&self.base)
            .retry_config(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS));
        aws_sdk_sesv2::Client::from_conf(match &self.endpoints.sesv2 {
            Some(url) => config.endpoint_url(url).build(),
            None => config.build(),
        })
    }

    /// What clients of other services are made of: the operator's.
    pub fn config(&self) -> &SdkConfig {
        &self.base
    }

    /// A KMS client.
    pub fn kms(&self) -> aws_sdk_kms::Client {
        let config = aws_sdk_kms::config::Builder::from(&self.base);
        aws_sdk_kms::Client::from_conf(match &self.endpoints.kms {
            Some(url) => config.endpoint_url(url).build(),
            None => config.build(),
        })
    }
}

/// To connect, for one attempt, for the call.
fn within([connect, attempt, operation]: [Duration; 3]) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(connect)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// For a function: by the shortest way, trusting Amazon's roots and these. aws-lc rather than ring: it keeps the hybrid
/// post-quantum key exchange (a mail's link is worth recording today and breaking later), and without its jitter entropy it
/// costs about as much as ring.
fn http_client(extra: Option<&Roots>) -> SharedHttpClient {
    let amazons = TrustStore::empty().with_pem_certificate(ROOTS);
    let roots = extra.map_or(amazons.clone(), |extra| amazons.with_pem_certificate(extra.as_pem()));
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(trusting(roots))
        .build_https()
}

/// For a person's machine, as the AWS CLI does it: by the proxies that the environment names (`HTTPS_PROXY`, `NO_PROXY`),
/// trusting the machine's roots, or in their place those of `AWS_CA_BUNDLE`.
pub fn interactive_http_client(bundle: Option<&Roots>) -> SharedHttpClient {
    let roots = bundle
        .map_or_else(TrustStore::default, |bundle| TrustStore::empty().with_pem_certificate(bundle.as_pem()));
    let (context, proxies) = (trusting(roots), ProxyConfig::from_env());
    // It keeps a connector, and with it the connections, for each kind of settings.
    aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, _| {
        Connector::builder()
            .connector_settings(settings.cloned().unwrap_or_else(|| HttpConnectorSettings::builder().build()))
            .proxy_config(proxies.clone())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .build()
    })
}

/// # Panics
/// When the certificates cannot be used: trusting others instead would be worse than not starting.
#[expect(clippy::expect_used, reason = "no connection at all rather than one that trusts other roots")]
fn trusting(roots: TrustStore) -> TlsContext {
    let context = TlsContext::builder().with_trust_store(roots).build();
    context.expect("a trust store of certificates that parse")
}
