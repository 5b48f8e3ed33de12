use std::collections::BTreeSet;

use super::{EnvFileError, Variables};

fn parse(text: &str) -> Result<Variables, EnvFileError> {
    super::parse(text.as_bytes().to_vec(), &BTreeSet::new())
}

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
        assert!(matches!(refused, EnvFileError::Line { line: 2 | 3, .. }), "{text}: {refused:?}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_name_that_changes_what_programs_load_is_refused_unless_it_is_allowed() {
    let names = [
        "LD_PRELOAD",
        "LD_AUDIT",
        "DYLD_INSERT_LIBRARIES",
        "PATH",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PYTHONPATH",
        "NODE_OPTIONS",
        "RUBYOPT",
        "PERL5LIB",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_COUNT",
        "BASH_FUNC_x",
        "JAVA_TOOL_OPTIONS",
        "GLIBC_TUNABLES",
    ];
    for name in names {
        let text = format!("A=b\n{name}=hunter2\n");
        let refused = parse(&text).expect_err(name).to_string();
        assert!(
            refused.contains("line 2") && refused.contains(&format!("--env-file-allow {name}")),
            "{refused}"
        );
        assert!(!refused.contains("hunter2"), "{refused}");
        let allowed = BTreeSet::from([name.to_owned()]);
        assert_eq!(super::parse(text.into_bytes(), &allowed).expect(name)[name], "hunter2");
    }
    for harmless in ["PATHS=a", "MY_PATH=a", "DATABASE_URL=a", "GIT_AUTHOR_NAME=a", "LDAP_URL=a"] {
        assert!(parse(harmless).is_ok(), "{harmless}");
    }
}
