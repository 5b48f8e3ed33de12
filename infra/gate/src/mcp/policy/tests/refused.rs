use super::super::Policy;
use super::policy;

/// Each with the line, and parts of what is said.
fn refused<T: AsRef<str>>(rows: &[(T, usize, &[&str])]) {
    for (text, line, parts) in rows {
        let text = text.as_ref();
        let error = Policy::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(&format!("line {line}: ")), "{error}: {text}");
        for part in *parts {
            assert!(error.contains(part), "{error}: {text}");
        }
        assert!(!error.contains('\n'), "{error:?}");
    }
}

/// A rule that begins on the second line; the text on the fourth.
fn rule(text: &str) -> String {
    format!("\n[[tools]]\nmatch = \"x\"\n{text}\n")
}

/// A rule that asks; the text on the fifth line.
fn ask(text: &str) -> String {
    rule(&format!("decision = \"ask\"\n{text}"))
}

#[test]
fn what_is_wrong_is_refused_with_its_line_and_the_mend() {
    refused(&[
        ("default = ", 1, &["this is not TOML"]),
        ("\n\nnonsense", 3, &["this is not TOML"]),
        ("default = \"ask\"\ndefault = \"allow\"", 2, &["this is not TOML", "duplicate key"]),
        ("\ndefualt = \"ask\"", 2, &["`defualt`", "did you mean `default`?"]),
        ("wait_second = 5", 1, &["`wait_second`", "did you mean `wait_seconds`?"]),
        ("colour = 5", 1, &["`colour`", "remove it", "wait_seconds"]),
        ("[sayso]\nurl = \"x\"", 1, &["`sayso`", "remove it"]),
        ("default = \"alow\"", 1, &["\"allow\", \"ask\" or \"deny\", not \"alow\""]),
        ("default = true", 1, &["`default` must be a text"]),
        ("wait_seconds = 3601", 1, &["0 to 3600", "not 3601"]),
        ("withdraw_tool = \"take back\"", 1, &["`withdraw_tool` must be", "ASCII"]),
        ("waiting = \"results\"", 1, &["\"error\" or \"result\""]),
        ("wait_seconds = -1", 1, &["0 to 3600", "not -1"]),
        ("wait_seconds = \"5\"", 1, &["whole number of seconds"]),
        ("wait_seconds = 4.5", 1, &["whole number of seconds"]),
        ("wait_seconds = 99999999999999999999", 1, &["whole number of seconds"]),
        ("expires_in_seconds = 59", 1, &["60 to 604800", "not 59"]),
        ("expires_in_seconds = 604801", 1, &["60 to 604800", "not 604801"]),
        ("server = \"a/b\"", 1, &["`server` must be 1 to 64"]),
        ("server = \"\"", 1, &["`server` must be 1 to 64"]),
        ("server = \"völumes\"", 1, &["`server` must be 1 to 64"]),
        (&format!("server = \"{}\"", "x".repeat(65)), 1, &["`server` must be 1 to 64"]),
        // The first of two.
        ("wait_seconds = 9000\ncolour = 5", 1, &["wait_seconds"]),
        ("colour = 5\nwait_seconds = 9000", 1, &["colour"]),
    ]);
}

#[test]
fn what_is_wrong_with_a_rule_is_refused_likewise() {
    refused(&[
        ("[tools]\nmatch = \"x\"".to_owned(), 1, &["`tools` must be a list", "[[tools]]"]),
        ("tools = [1]".to_owned(), 1, &["`tools` must be a list", "[[tools]]"]),
        ("\n[[tools]]\ndecision = \"ask\"".to_owned(), 2, &["no `match`", "match = \"delete_*\""]),
        (rule(""), 2, &["no `decision`", "\"deny\""]),
        (rule("decision = \"yes\""), 4, &["`decision` must be", "not \"yes\""]),
        (rule("decison = \"ask\""), 4, &["did you mean `decision`?"]),
        (ask("expires_in = 60"), 5, &["did you mean `expires_in_seconds`?"]),
        (ask("read_only_hint = \"true\""), 5, &["true or false"]),
        (ask("destructive_hint = 0"), 5, &["true or false"]),
        (ask("expires_in_seconds = 0"), 5, &["60 to 604800"]),
        (rule("decision = \"allow\"\nsummary = \"x\""), 5, &["`summary` is for a rule that asks"]),
        (rule("decision = \"deny\"\nreason = \"x\""), 5, &["`reason` is for a rule that asks"]),
        (rule("expires_in_seconds = 60\ndecision = \"deny\""), 4, &["`expires_in_seconds` is for a rule"]),
    ]);
}

#[test]
fn a_malformed_template_is_refused() {
    refused(&[
        (ask("summary = \"\""), 5, &["`summary` is empty"]),
        (ask("summary = \"a\\nb\""), 5, &["`summary` holds the control character U+000A", "one line"]),
        (ask("reason = \"a\\u0007b\""), 5, &["`reason` holds the control character U+0007", "remove it"]),
        (ask("summary = \"Delete {id\""), 5, &["a { that is not closed", "{{"]),
        (ask("summary = \"Delete {a{b}}\""), 5, &["a { that is not closed"]),
        (ask("summary = \"Delete id}\""), 5, &["a } without a {", "}}"]),
        (ask("summary = \"Delete {}\""), 5, &["empty placeholder", "{volume_id}"]),
        (ask("summary = \"Delete {a..b}\""), 5, &["empty placeholder"]),
        (ask("summary = \"Delete { id }\""), 5, &["a space at an end"]),
        (ask("reason = \"{.}\""), 5, &["`reason` has an empty placeholder"]),
    ]);
}

#[test]
fn a_match_that_names_no_tool_is_refused() {
    let matching = |globs: &str| format!("[[tools]]\nmatch = {globs}\ndecision = \"ask\"");
    refused(&[
        (matching("[]"), 2, &["`match` is empty"]),
        (matching("\"\""), 2, &["an empty glob"]),
        (matching("[\"a\", \"\"]"), 2, &["an empty glob"]),
        (matching("5"), 2, &["must be a glob"]),
        (matching("[\"a\", 5]"), 2, &["must be a glob"]),
        (matching("\"a[\""), 2, &["\"a[\" is invalid at character 2"]),
        (matching("\"a**\""), 2, &["is invalid", "* stands for any"]),
    ]);
}

/// Two rules, each as its globs and its conditions.
fn two(first: (&str, &str), second: (&str, &str)) -> String {
    let rule = |(globs, conditions): (&str, &str)| {
        format!("[[tools]]\nmatch = {globs}\ndecision = \"ask\"\n{conditions}\n")
    };
    rule(first) + &rule(second)
}

#[test]
fn a_rule_that_can_never_apply_is_refused() {
    for (first, second, glob, by) in [
        ((r#""a*""#, ""), (r#""a*""#, ""), "a*", "a*"),
        ((r#""*""#, ""), (r#""[ab]?c""#, ""), "[ab]?c", "*"),
        ((r#""*""#, ""), (r#""x""#, "read_only_hint = true"), "x", "*"),
        ((r#"["a", "b"]"#, ""), (r#"["c", "b"]"#, ""), "b", "b"),
        // The mistake that would let a secret out: a narrower rule after a wider one.
        ((r#""list_*""#, ""), (r#""list_secrets""#, ""), "list_secrets", "list_*"),
        ((r#""list_*""#, ""), (r#""list_s*""#, ""), "list_s*", "list_*"),
        ((r#""[a-z]x""#, ""), (r#""bx""#, ""), "bx", "[a-z]x"),
        ((r#""a*""#, "read_only_hint = true"), (r#""a*""#, "read_only_hint = true"), "a*", "a*"),
        (
            (r#""*""#, "read_only_hint = true"),
            (r#""a""#, "read_only_hint = true\ndestructive_hint = false"),
            "a",
            "*",
        ),
    ] {
        let text = two(first, second);
        let error = Policy::parse(&text).expect_err(&text).to_string();
        let expected = format!("line 5: `{glob}` can never apply, because `{by}` on line 1 decides first");
        assert!(error.starts_with(&expected), "{error}: {text}");
    }
}

#[test]
fn a_rule_that_may_still_apply_is_kept() {
    for (first, second) in [
        ((r#""list_secrets""#, ""), (r#""list_*""#, "")),
        ((r#""*""#, "read_only_hint = true"), (r#""*""#, "")),
        ((r#""*""#, "read_only_hint = true"), (r#""*""#, "read_only_hint = false")),
        ((r#""*""#, "read_only_hint = true"), (r#""*""#, "destructive_hint = false")),
        ((r#""a?""#, ""), (r#""a*""#, "")),
        ((r#""*a*""#, ""), (r#""[ab]""#, "")),
        ((r#""[*]""#, ""), (r#""*""#, "")),
        ((r#""*/x""#, ""), (r#""**/x""#, "")),
        ((r#"["a", "a"]"#, ""), (r#""b""#, "")),
        // Letters that no tool's name has.
        ((r#""größe {x}*""#, ""), (r#""*""#, "")),
    ] {
        policy(&two(first, second));
    }
}
