use axum::Router;
use axum::response::Html;
use axum::routing::get;
use sayso_model::AgentName;
use sayso_model::passkey::RequiredProof;
use sayso_tests::{Agent, Link, Verdict, World, asking};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An ordinary, dangerous request, as the README shows it.
pub(crate) fn volume() -> Value {
    json!({
        "tool": "delete_volume",
        "arguments": {
            "volume_id": "vol-0a41f7c2d9e83b516",
            "region": "eu-west-1",
            "delete_backups": true,
            "backups": ["snap-2026-11-15", "snap-2026-11-08"],
        },
        "summary": "Delete the old staging database volume and its two backups.",
        "reason": "It has been detached for 34 days, and staging has run on db-new since 19 October. Keeping it costs \
                   about $46 a month. Nothing breaks if you say no.",
    })
}

/// Everything that makes a page hard to lay out.
pub(crate) fn awkward() -> Value {
    let nested =
        (0..12).fold(json!("the innermost value"), |inner, depth| json!({format!("level_{depth}"): [inner]}));
    json!({
        "tool": "a_tool_with_a_very_long_name.that.goes/on:and_on_and_on_without_any_place_to_break_it_in_two_at_all_ok",
        "arguments": {
            "long": "x".repeat(2_000),
            "nested": nested,
            "lines": "first\nsecond\n\tthird",
            "hidden": "safe\u{202e}txt.exe\u{200b}",
            "mixed": "p\u{430}ypal.com",
            "markup": "<script>alert(1)</script><b>bold</b>",
            "number": -0.000_001_5,
            "nothing": [null, true, false, {}, []],
            "arabic": "حذف قاعدة البيانات",
            "argv": ["rm", "--dry\u{2011}run", "d\u{336}e\u{336}l\u{336}", "cafe\u{301}", "./job.sh", "ok".to_owned() + &" \n".repeat(2_000) + "rm -rf /"],
            "russian": "Удалить старую таблицу, потом сказать дежурному.",
            "password": "hunter2",
        },
        "summary": "https://example.com/".to_owned() + &"a".repeat(400),
        "reason": "word ".repeat(390),
    })
}

/// An agent, its request, and the link that its approver got.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) agent: Agent,
    pub(crate) id: String,
    pub(crate) link: Link,
}

impl Scene {
    pub(crate) async fn new(request: Value) -> Self {
        let world = World::new().await;
        let agent = world.agent().await;
        let asked = agent.call("request_approval", request).await;
        assert!(!asked.is_error, "{}", asked.text);
        let id = asked.field("approval_id").to_owned();
        let link = world.link(&id);
        world.pass(8 * 60);
        Self { world, agent, id, link }
    }

    /// From now on, approving what this agent asks does.
    pub(crate) async fn takes_a_passkey(&self) {
        let agent = AgentName::parse("deploy-bot").expect("a name");
        let registry = self.world.host.registry();
        registry.set_agent_proof(&agent, RequiredProof::Passkey).await.expect("set");
    }

    /// Another request, decided: the link to its outcome.
    pub(crate) async fn decided(&self, verdict: Verdict, note: &str) -> String {
        let table = format!("orders_{}", if verdict == Verdict::Approve { "old" } else { "new" });
        let asked = self.agent.call("request_approval", asking(&table)).await;
        let link = self.world.link(asked.field("approval_id"));
        let page = self.world.browser().decide(&link, verdict, note).await;
        assert_eq!(page.status, 200, "{}", page.text());
        link.0
    }
}

/// A page of somebody else's, on a port of its own, until the test's runtime ends.
pub(crate) async fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let router = Router::new().route("/", get(move || std::future::ready(Html(page.clone()))));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
