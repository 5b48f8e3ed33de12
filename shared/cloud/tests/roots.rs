//! The pinned roots are read when a client first connects, and only there.

use sayso_cloud::{Aws, Endpoints, Failure, Signer};

#[tokio::test]
async fn a_client_that_connects_has_read_its_roots_and_reports_a_failure_by_its_stage() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let nobody = format!("https://{}", nobody.expect("a port that was free a moment ago"));
    let aws = Aws::at(Endpoints { kms: Some(nobody), ..Endpoints::default() });
    let failure = Signer::connect(aws.kms(), "key".to_owned()).await.err();
    let Some(Failure::Call { call, code }) = failure else { panic!("{failure:?}") };
    assert_eq!((call, code.as_str()), ("kms:GetPublicKey", "no connection"));
}

#[test]
fn the_roots_are_the_five_of_amazon_trust_services() {
    let pem = include_str!("../roots/amazon-trust-services.pem");
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 5);
}
