//! What an agent's words and arguments must not do to a mail, and what a mail says of itself.

use sayso_local::outbox::Mail;
use sayso_tests::{Answer, World, asking};
use serde_json::{Value, json};

use crate::inspect::{linkable, stretches, text_of};

/// What some mail client would make a link of, or might.
const ADDRESSES: [&str; 16] = [
    "https://evil.example/approve",
    "WWW.evil.com",
    "evil.com",
    "foo_.com",
    "a-.b-.com",
    "evile\u{301}.com",
    "evil\u{338}.com",
    "evil。com",
    "evil．com/ok",
    "evil｡com",
    "192.0.2.7/ok",
    "http://[2001:db8::1]/ok",
    "a@evil.com",
    "mailto:a@localhost",
    "file:\\\\evil.example\\share",
    "./job.sh",
];

async fn mailed(world: &World, arguments: Value) -> (Answer, Mail) {
    let answer = world.agent().await.call("request_approval", arguments).await;
    assert!(!answer.is_error, "{}", answer.text);
    (answer, world.mails().pop().expect("a mail"))
}

fn asking_for(tool: &str, arguments: Value) -> Value {
    json!({"tool": tool, "arguments": arguments, "summary": "Tidy up"})
}

/// The link that decides is the only one in either part.
fn assert_one_link(world: &World, answer: &Answer, mail: &Mail, what: &str) {
    let link = world.link(answer.field("approval_id")).0;
    assert_eq!(linkable(mail.text.as_deref().unwrap_or_default()), [link], "{what}");
    for stretch in stretches(mail.html.as_deref().unwrap_or_default()) {
        assert!(linkable(&stretch).is_empty(), "{what}: {stretch}");
    }
}

#[tokio::test]
async fn nothing_that_an_agent_wrote_is_a_link_in_either_part() {
    let world = World::new().await;
    for (at, address) in ADDRESSES.into_iter().enumerate() {
        let mut everywhere = asking(&format!("t{at}"));
        everywhere["arguments"] =
            json!({"n": at, "a": address, address: [address, format!("see {address}, now")]});
        everywhere["summary"] = json!(format!("See {address}"));
        everywhere["reason"] = json!(format!("{address}\n({address})"));
        let (answer, mail) = mailed(&world, everywhere).await;
        assert_one_link(&world, &answer, &mail, address);
        assert!(mail.text.unwrap().contains("In this plain text, ⟨.⟩ stands for a dot"), "{address}");
    }
    // Names that servers give their tools, and hosts at once.
    for (at, tool) in ["docker.ps", "files.read", "acme.billing/refund", "a_tool.with-a.long.name.zip"]
        .into_iter()
        .enumerate()
    {
        let (answer, mail) = mailed(&world, asking_for(tool, json!({"n": at}))).await;
        assert_one_link(&world, &answer, &mail, tool);
        assert!(text_of(mail.html.as_deref().unwrap(), "pre").starts_with(tool), "letter by letter");
    }
}

#[tokio::test]
async fn a_tool_that_is_called_like_an_address_is_not_asked_for() {
    let world = World::new().await;
    for tool in
        ["https://evil.example/approve", "www.evil.com", "evil.com/approve", "192.0.2.7/ok", "evil.io:443/ok"]
    {
        let refused = world.agent().await.call("request_approval", asking_for(tool, json!({}))).await;
        assert!(
            refused.is_error && refused.text.contains("`tool` reads as a web address"),
            "{}",
            refused.text
        );
        assert!(!refused.text.contains("evil"), "the refusal repeats it");
    }
    assert!(world.mails().is_empty());
}

#[tokio::test]
async fn what_a_mail_shows_is_what_was_written() {
    let world = World::new().await;
    let argv = json!({"argv": ["./job.sh", "a@b.example", "v1.2.3"]});
    let (_, mail) = mailed(&world, asking_for("shell", argv)).await;
    let html = text_of(mail.html.as_deref().unwrap(), "pre");
    assert!(
        html.contains("\"./job.sh\"") && html.contains("\"a@b.example\"") && html.contains("\"v1.2.3\""),
        "{html}"
    );
    // An agent cannot write what stands for a dot, so what says so cannot be misread.
    let (_, mail) = mailed(&world, asking_for("shell", json!({"argv": ["a⟨.⟩b"]}))).await;
    assert!(mail.text.unwrap().contains("\"a⟨U+27E8⟩⟨.⟩⟨U+27E9⟩b\""));
    // Where nothing is changed, nothing is said.
    let (_, mail) = mailed(&world, asking_for("drop_table", json!({"table": "customers"}))).await;
    assert!(!mail.text.unwrap().contains("In this plain text"));
}

#[tokio::test]
async fn a_mail_says_first_that_a_reply_decides_nothing() {
    let world = World::new().await;
    let (_, mail) = mailed(&world, asking("customers")).await;
    let first = "Replying to this mail decides nothing: open the link.";
    assert!(mail.text.as_deref().unwrap().starts_with(first));
    let html = text_of(mail.html.as_deref().unwrap(), "body");
    assert!(html.find(first).unwrap() < html.find("Would run").unwrap());
    let reply_to = mail.headers.iter().find(|(name, _)| name == "Reply-To").map(|(_, value)| value.as_str());
    assert_eq!(
        reply_to,
        Some("no-reply@localhost"),
        "the sender's domain, until the operator says otherwise"
    );
}

#[tokio::test]
async fn a_value_under_a_telling_name_is_masked_in_the_mail_and_nowhere_else() {
    let world = World::new().await;
    let arguments = json!({
        "user": "app",
        "dbPassword": "hunter2-a",
        "nested": {"API-Key": "hunter2-b", "list": [{"credentials": {"a": ["hunter2-c"]}}]},
        "headers": [{"name": "Authorization", "value": "Bearer hunter2-d"}, {"name": "Accept", "value": "text/plain"}],
        "secret_id": "prod/db",
        "max_tokens": 100,
        "rotate_secret": true,
    });
    let (answer, mail) = mailed(&world, asking_for("set_config", arguments)).await;
    let parts = [mail.text.unwrap(), text_of(mail.html.as_deref().unwrap(), "body")];
    for part in &parts {
        assert!(!part.contains("hunter2"), "{part}");
        assert_eq!(part.matches("⟨masked in this mail, shown on the page⟩").count(), 4, "{part}");
        assert!(part.contains("4 values are masked in this mail, because of the name"), "{part}");
        for shown in ["\"app\"", "prod/db", "100", "\"rotate_secret\": true", "text/plain"] {
            assert!(part.contains(shown), "{shown}: {part}");
        }
    }
    let page = world.browser().open(&world.link(answer.field("approval_id")).0).await;
    let page = text_of(&page.html, "pre.json");
    for secret in ["hunter2-a", "hunter2-b", "hunter2-c", "Bearer hunter2-d"] {
        assert!(page.contains(secret), "the page that decides shows everything");
    }
}

#[tokio::test]
async fn what_the_operator_has_named_is_masked_in_the_mail_and_never_on_the_page() {
    let world = World::new().await;
    let gate = sayso_model::Audience::parse("production").expect("an audience");
    let registry = sayso_cloud::operator::Registry::new(world.table().client(), world.backends.table.clone());
    registry
        .add_gate(&sayso_cloud::operator::RegisteredGate {
            audience: gate.clone(),
            description: None,
            masks: sayso_model::Masks::parse(["/argv/2", "*Iban*"]).expect("masks"),
            proof: sayso_model::passkey::RequiredProof::default(),
            created_at: world.clock.now(),
        })
        .await
        .expect("a gate");
    let arguments = json!({"argv": ["pay", "-p", "hunter2-a"], "from": {"iban": ["hunter2-b"]}, "dbPassword": "hunter2-c", "to": "x"});
    let (answer, mail) = mailed(&world, asking_for("pay", arguments.clone())).await;
    let parts = [mail.text.unwrap(), text_of(mail.html.as_deref().unwrap(), "body")];
    for part in &parts {
        assert!(!part.contains("hunter2") && part.contains("\"pay\""), "{part}");
        assert_eq!(part.matches("⟨masked in this mail, shown on the page⟩").count(), 3, "{part}");
    }
    let page = world.browser().open(&world.link(answer.field("approval_id")).0).await;
    let shown = text_of(&page.html, "pre.json");
    for secret in ["hunter2-a", "hunter2-b", "hunter2-c"] {
        assert!(shown.contains(secret), "the page that decides shows everything");
    }
    // What is approved is the whole.
    let tool = sayso_model::ToolName::parse("pay").expect("a name");
    let action = sayso_model::Action { tool, ..sayso_tests::action(&arguments.to_string()) };
    assert!(page.html.contains(&action.digest().to_string()), "{}", page.html);
}

/// Were it read as nothing, the secrets would be in the mail.
#[tokio::test]
async fn a_gate_whose_masks_cannot_be_read_sends_no_mail() {
    let world = World::new().await;
    let mut row = sayso_tests::Row::new();
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    row.insert("pk".to_owned(), text("GATE#production"));
    row.insert("masked".to_owned(), aws_sdk_dynamodb::types::AttributeValue::L(vec![text("[")]));
    row.insert("created_at".to_owned(), aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned()));
    row.insert("write".to_owned(), text("x"));
    world.table().put(row).await;
    let answer = world.agent().await.ask("orders_2019").await;
    assert!(answer.field("next").contains("the mail to the approver could not be sent"), "{}", answer.text);
    assert!(world.mails().is_empty());
    world.table().delete("GATE#production").await;
    assert!(!world.agent().await.ask("orders_2019").await.is_error);
    assert_eq!(world.mails().len(), 1);
}
