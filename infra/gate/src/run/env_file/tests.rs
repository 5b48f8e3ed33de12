use super::{Unreadable, parse};

#[test]
fn a_file_that_all_readers_agree_on_is_read() {
    let rows = [
        ("", vec![]),
        ("# TOKEN=a\n\n  \t\nTOKEN=b", vec![("TOKEN", "b")]),
        ("export TOKEN=b\r\n _X9=\n", vec![("TOKEN", "b"), ("_X9", "")]),
        (
            "URL=postgres://u:p@h/db?a=1&b=2\nKEY=YWJj==",
            vec![("KEY", "YWJj=="), ("URL", "postgres://u:p@h/db?a=1&b=2")],
        ),
        (r##"A='a $b "c" \d # e'"##, vec![("A", r##"a $b "c" \d # e"##)]),
        (r##"A="a \$b \"c\" \\d \` # 'e'""##, vec![("A", r##"a $b "c" \d ` # 'e'"##)]),
        ("A=''\nB=\"\"", vec![("A", ""), ("B", "")]),
        ("A='ä\u{202e}'", vec![("A", "ä\u{202e}")]),
    ];
    for (text, expected) in rows {
        let variables = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let found: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_readers_differ_on_is_refused_by_its_line_and_without_its_value() {
    let rows = [
        "hunter2",
        "hunter2 = x",
        "A =hunter2",
        "9A=hunter2",
        "Ä=hunter2",
        "A-B=hunter2",
        "A=hunter2 hunter2",
        "A=hunter2 # a comment",
        "A=hunter2#more",
        "A=$hunter2",
        "A=`hunter2`",
        r"A=hunter2\",
        "A=hunter2'",
        "A='hunter2",
        "A='hunter2''hunter2'",
        "A='hunter2' ; hunter2",
        "A=\"hunter2",
        "A=\"hunter2\"hunter2\"",
        "A=\"$hunter2\"",
        r#"A="hunter2\n""#,
        r#"A="hunter2\""#,
        "A='",
        "A=\"",
        "A=hunter2\u{1b}",
        "A='hunter2\0'",
        "A='hunter2\rhunter2'",
        "A=hunter2\nA=hunter2",
    ];
    for text in rows {
        let text = format!("# first\n{text}");
        let refused = parse(&text).expect_err(&text);
        assert!(matches!(refused, Unreadable::Line { line: 2 | 3, .. }), "{text}: {refused:?}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
}
