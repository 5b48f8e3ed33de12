//! What a reader cannot see, or would take for something else, is named.

use sayso_model::{
    CanonicalJson, Masks, Piece, Reading, masked_arguments, misleading, reveal, reveal_arguments,
    reveal_to_string, shown_arguments,
};

use Reading::{Arguments, Words};

#[test]
fn hidden_and_look_alike_characters_are_named_in_prose_and_in_arguments() {
    let rows = [
        ("Größe naïve 東京 Москва Ελλάδα", "Größe naïve 東京 Москва Ελλάδα"),
        ("a\u{202e}b", "a⟨U+202E direction override⟩b"),
        ("prod\u{200b}uction", "prod⟨U+200B zero-width space⟩uction"),
        ("a\u{a0}b", "a⟨U+00A0 no-break space⟩b"),
        ("\u{7}", "⟨U+0007 control⟩"),
        ("a\r\n\u{1b}[2J", "a⟨\\r⟩\n⟨U+001B control⟩[2J"),
        ("\r\u{c}\u{8}\0", "⟨\\r⟩⟨\\f⟩⟨\\b⟩⟨U+0000 control⟩"),
        ("\u{7f}\u{9b}2J", "⟨U+007F control⟩⟨U+009B control⟩2J"),
        ("\u{e0041}", "⟨U+E0041 tag⟩"),
        ("\u{3164}", "⟨U+3164⟩"),
        // Nothing is drawn for a note without a head.
        ("rm\u{1d159}rf", "rm⟨U+1D159⟩rf"),
        ("p\u{430}ypal", "p\u{430}⟨U+0430⟩ypal"),
        // A whole word in Cyrillic that reads as Latin.
        ("\u{441}\u{43e}\u{440}\u{435}", "\u{441}⟨U+0441⟩\u{43e}⟨U+043E⟩\u{440}⟨U+0440⟩\u{435}⟨U+0435⟩"),
        ("etc\u{2215}passwd", "etc\u{2215}⟨U+2215⟩passwd"),
        ("https\u{a789}//a", "https\u{a789}⟨U+A789⟩//a"),
        ("line\nline\ttab", "line\nline\ttab"),
        // A letter and its mark, and the one letter that they make.
        ("caf\u{e9}", "caf\u{e9}"),
        ("cafe\u{301}", "cafe⟨U+0301 combining mark⟩"),
        ("e\u{323}\u{302}", "e⟨U+0323 combining mark⟩⟨U+0302 combining mark⟩"),
        ("\u{1112}\u{1161}\u{11ab}", "\u{1112}\u{1161}⟨U+1161⟩\u{11ab}⟨U+11AB⟩"),
        ("5 \u{212a}", "5 \u{212a}⟨U+212A⟩"),
        // Struck out, though it is there.
        ("d\u{336}e\u{336}l", "d⟨U+0336 striking mark⟩e⟨U+0336 striking mark⟩l"),
        ("o\u{338}k\u{20dd}", "o⟨U+0338 striking mark⟩k⟨U+20DD striking mark⟩"),
        ("\u{437}\u{335}\u{430}", "\u{437}⟨U+0335 striking mark⟩\u{430}"),
        ("foo_\u{301}.com", "foo_⟨U+0301 combining mark⟩.com"),
        // Two marks on a letter are how some people write.
        ("ก\u{e35}\u{e48}", "ก\u{e35}\u{e48}"),
        // The brackets are ours.
        ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩"),
    ];
    for (text, shown) in rows {
        for reading in [Words, Arguments] {
            assert_eq!(reveal_to_string(text, reading), shown, "{reading:?}");
        }
    }
}

/// Dashes, quotation marks, dots, slashes, bars, other punctuation, letters and digits.
const ALIKE: &str = "\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}\u{2500}\u{2501}\u{fe58}\u{ff0d}\
    \u{2032}\u{2033}\u{2018}\u{2019}\u{201c}\u{201d}\u{b4}\
    \u{b7}\u{2219}\u{22c5}\u{2022}\u{2024}\u{2026}\u{3002}\u{ff0e}\u{ff61}\
    \u{2044}\u{2215}\u{ff0f}\u{29f8}\u{ff3c}\u{2223}\u{ff5c}\
    \u{37e}\u{ff1b}\u{ff06}\u{ff04}\u{2039}\u{203a}\u{ff20}\u{d7}\
    \u{2b0}\u{aa}\u{b2}\u{131}\u{ff41}\u{1d41a}\u{fb01}\u{4e00}\u{30fc}\u{661}";

#[test]
fn among_arguments_nothing_passes_for_ascii_without_its_name() {
    let mut unnamed = Vec::new();
    for c in ALIKE.chars() {
        for text in [format!("--dry{c}run"), format!("a {c} b"), format!("rm {c}rf /"), format!("evil{c}com")]
        {
            if !reveal(&text, Arguments).contains(&Piece::LookAlike(c)) {
                unnamed.push(format!("U+{:04X} in {text}", u32::from(c)));
            }
        }
    }
    assert_eq!(unnamed, [""; 0]);
    // Prose is full of them.
    let prose = "L’été – « oui » — “quoted”, 1.5 €… それは『確認』です。 Größe, ×2";
    assert_eq!(reveal_to_string(prose, Words), prose);
}

#[test]
fn honest_arguments_in_any_language_can_be_read() {
    for text in [
        "Удалить таблицу, потом сказать дежурному.",
        "本番データベースを削除します。サーバー（東京）のみ、確認済み。",
        "Größe, naïve, señor, Łódź, Đà Nẵng",
        "حذف قاعدة البيانات",
        "데이터베이스를 삭제합니다.",
        "ลบฐานข้อมูลที่เก่า",
        "हटाएं क़ीमत",
        "price: 5 €, 20 °C, © 2026 → done ✓ 🎉",
    ] {
        assert_eq!(reveal_to_string(text, Arguments), text);
    }
}

#[test]
fn a_run_that_pushes_text_out_of_sight_is_folded_and_counted() {
    let rows = [
        (" \n".repeat(20_000), "20,000 spaces and 20,000 line breaks in turn"),
        ("\n".repeat(900), "900 line breaks"),
        (" ".repeat(1_850), "1,850 spaces"),
        ("\t".repeat(25), "25 tabs"),
        (format!("\n{}", " ".repeat(40)), "1 line break, 40 spaces"),
        ("\r\n".repeat(500), "500 carriage returns and 500 line breaks in turn"),
        ("\u{a0}".repeat(1_000), "1,000 × U+00A0 no-break space"),
        ("\u{3164}\n".repeat(700), "700 × U+3164 and 700 line breaks in turn"),
        ("\u{200b}".repeat(9), "9 × U+200B zero-width space"),
        ("\u{2028}".repeat(99), "99 × U+2028 line separator"),
    ];
    for (run, name) in rows {
        for reading in [Words, Arguments] {
            let shown = reveal_to_string(&format!("ok{run}rm -rf /"), reading);
            assert_eq!(shown, format!("ok⟨{name}⟩rm -rf /"));
        }
        let json = serde_json::json!({ "a": format!("ok{run}rm -rf /") }).to_string();
        let arguments = CanonicalJson::parse(&json).unwrap();
        assert_eq!(reveal_arguments(&arguments), format!("{{\n  \"a\": \"ok⟨{name}⟩rm -rf /\"\n}}"));
    }
    for honest in ["a\n\n\nb", "a\n                indented", "a\r\nb\r\nc", "a    b"] {
        assert!(!reveal(honest, Words).iter().any(|piece| matches!(piece, Piece::Gap(_))), "{honest:?}");
    }
}

#[test]
fn a_pile_of_combining_marks_does_not_cover_the_line_above() {
    let pile = format!("x{}", "\u{301}".repeat(50));
    assert_eq!(reveal(&pile, Words).iter().filter(|piece| matches!(piece, Piece::Hidden(_))).count(), 48);
}

#[test]
fn nothing_is_dropped() {
    let text = "a\u{202e}b \u{430}bc\u{200d}\u{fe0f}\n\u{ffff}z e\u{301}\u{2013}。\n\n\n\n\nq⟨";
    for reading in [Words, Arguments] {
        let back: String = reveal(text, reading)
            .into_iter()
            .map(|piece| match piece {
                Piece::Plain(text) | Piece::Gap(text) => text.to_owned(),
                Piece::Hidden(c) | Piece::LookAlike(c) => c.to_string(),
            })
            .collect();
        assert_eq!(back, text);
    }
}

#[test]
fn arguments_without_marks_are_the_same_json_on_several_lines() {
    let json = r#"{"b":[1,{"c":null},[],{}],"a":"x, ]} \" \\ :\n\t","n":-1.5e-7,"":true}"#;
    let arguments = CanonicalJson::parse(json).unwrap();
    assert_eq!(reveal_arguments(&arguments), arguments.indented());
}

#[test]
fn a_line_that_ends_in_cr_lf_is_named_and_no_warning() {
    let file = CanonicalJson::parse(r#"{"file":"one\r\ntwo\r\n\r\nend"}"#).unwrap();
    let shown = shown_arguments(&file, &Masks::NONE, |_| false, "");
    assert_eq!(shown.text, "{\n  \"file\": \"one⟨\\r⟩\\ntwo⟨\\r⟩\\n⟨\\r⟩\\nend\"\n}");
    assert_eq!(shown.marks, 0);
    // What a terminal would write over, and the same folded.
    for (text, marks) in [("rm\rls", 1), ("a\n\rb", 1), ("a\r\r\nb", 1), ("a\r", 1)] {
        assert_eq!(misleading(text, Arguments), marks, "{text:?}");
    }
    assert_eq!(misleading(&"\r\n".repeat(9), Arguments), 1);
}

#[test]
fn a_masked_value_is_masked_whole_and_nothing_else_is() {
    let arguments = CanonicalJson::parse(
        r#"{"a":{"secret":[1,{"x":"q\u200b"}],"z":1},"headers":[{"name":"secret","value":"q"},{"name":"n","value":"v"}],"is":{"secret":true},"secret":"q"}"#,
    )
    .unwrap();
    let shown = shown_arguments(&arguments, &Masks::NONE, |key| key == "secret", "MASK");
    let expected = "{\n  \"a\": {\n    \"secret\": MASK,\n    \"z\": 1\n  },\n  \"headers\": [\n    {\n      \"name\": \"secret\",\n      \"value\": MASK\n    },\n    {\n      \"name\": \"n\",\n      \"value\": \"v\"\n    }\n  ],\n  \"is\": {\n    \"secret\": true\n  },\n  \"secret\": MASK\n}";
    assert_eq!((shown.text.as_str(), shown.marks, shown.masked), (expected, 1, 3));
}

/// The masks of a gate, and what they leave of `arguments` as text and in records.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
fn masked(masks: &[&str], arguments: &str) -> (String, String, Vec<String>) {
    let masks = Masks::parse(masks.iter().copied()).unwrap();
    let arguments = CanonicalJson::parse(arguments).unwrap();
    let text = shown_arguments(&arguments, &masks, |_| false, "MASK").text;
    let (json, places) = masked_arguments(&arguments, &masks);
    // It stays canonical, and as text it is the same as what is shown.
    let canonical = CanonicalJson::parse(&json).unwrap();
    assert_eq!(canonical.as_str(), json);
    assert_eq!(reveal_arguments(&canonical).replace("\"(masked)\"", "MASK"), text);
    (text.replace(['\n', ' '], ""), json, places)
}

#[test]
fn what_the_operator_has_named_is_masked_wherever_it_is_and_whatever_it_is() {
    let arguments = r#"{"a/b":1,"argv":["login","-p","q"],"login":{"PIN":[1,{"x":2}],"on":true},"users":[{"pin":"q"},{"pin":null}]}"#;
    let rows: [(&[&str], &str, &[&str]); 7] = [
        (
            &["/argv/2"],
            r#"{"a/b":1,"argv":["login","-p",MASK],"login":{"PIN":[1,{"x":2}],"on":true},"users":[{"pin":"q"},{"pin":null}]}"#,
            &["/argv/2"],
        ),
        (
            &["pin"],
            r#"{"a/b":1,"argv":["login","-p","q"],"login":{"PIN":MASK,"on":true},"users":[{"pin":MASK},{"pin":MASK}]}"#,
            &["/login/PIN", "/users/0/pin", "/users/1/pin"],
        ),
        (
            &["/users/*/pin", "/login/on"],
            r#"{"a/b":1,"argv":["login","-p","q"],"login":{"PIN":[1,{"x":2}],"on":MASK},"users":[{"pin":MASK},{"pin":MASK}]}"#,
            &["/login/on", "/users/0/pin", "/users/1/pin"],
        ),
        (
            &["/a~1b", "log*"],
            r#"{"a/b":MASK,"argv":["login","-p","q"],"login":MASK,"users":[{"pin":"q"},{"pin":null}]}"#,
            &["/a~1b", "/login"],
        ),
        (
            &["*"],
            r#"{"a/b":MASK,"argv":MASK,"login":MASK,"users":MASK}"#,
            &["/a~1b", "/argv", "/login", "/users"],
        ),
        (
            &["/argv", "/argv/2", "q"],
            r#"{"a/b":1,"argv":MASK,"login":{"PIN":[1,{"x":2}],"on":true},"users":[{"pin":"q"},{"pin":null}]}"#,
            &["/argv"],
        ),
        (&["/nowhere", "/argv/3", "/Users", "/argv/*/x"], arguments, &[]),
    ];
    for (masks, expected, places) in rows {
        let (text, json, found) = masked(masks, arguments);
        assert_eq!(
            (text.as_str(), found),
            (expected, places.iter().map(|it| (*it).to_owned()).collect()),
            "{masks:?}"
        );
        assert_eq!(json, expected.replace("MASK", "\"(masked)\""));
    }
    // A name in a text counts, as with the names that tell by themselves.
    let headers = r#"{"headers":[{"name":"X-Pin","value":"q"},{"name":"X","value":"r"}]}"#;
    assert_eq!(masked(&["x-pin"], headers).2, ["/headers/0/value"]);
    // More text than arguments may have: nothing of it.
    let many = CanonicalJson::parse(&format!(r#"{{"a":[{}0]}}"#, "0,".repeat(30_000))).unwrap();
    let nothing = ("{}".to_owned(), vec![String::new()]);
    assert_eq!(masked_arguments(&many, &Masks::parse(["/a/*"]).unwrap()), nothing);
    // The same where the pointers would be: each repeats the long name.
    let far = format!(r#"{{"{}":[{}{{"pin":0}}]}}"#, "k".repeat(30_000), r#"{"pin":0},"#.repeat(1_000));
    let far = CanonicalJson::parse(&far).unwrap();
    assert_eq!(masked_arguments(&far, &Masks::parse(["pin"]).unwrap()), nothing);
    let shown = shown_arguments(&far, &Masks::NONE, |name| name == "pin", "MASK");
    assert_eq!(shown.masked, 1_001);
}

#[test]
fn a_mask_that_could_mean_nothing_is_refused() {
    for (mask, says) in [
        ("", "empty"),
        (" ", "empty"),
        ("/a~2", "~0 for ~"),
        ("/~", "~0 for ~"),
        ("[a", "no glob"),
        ("a\nb", "one line"),
    ] {
        let refused = Masks::parse([mask]).unwrap_err().to_string();
        assert!(refused.contains(says), "{mask:?}: {refused}");
    }
    assert!(Masks::parse(["a"; 51]).unwrap_err().to_string().contains("at most 50"));
}
