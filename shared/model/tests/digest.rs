//! One action, one digest: the property that an approval rests on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use proptest::prelude::*;
use sayso_model::{Action, ActionDigest, CanonicalJson, ProfileViolation, ToolName};

/// A JSON value as mathematics has it: numbers are exact decimals, members have no order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Json {
    Null,
    Bool(bool),
    Number(Decimal),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// `mantissa × 10^exponent`, with the mantissa as short as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    fn new(mut mantissa: i128, mut exponent: i32) -> Self {
        if mantissa == 0 {
            return Self { mantissa: 0, exponent: 0 };
        }
        while mantissa % 10 == 0 {
            (mantissa, exponent) = (mantissa / 10, exponent + 1);
        }
        Self { mantissa, exponent }
    }

    fn is_beyond_doubles(self) -> bool {
        let factor = u32::try_from(self.exponent).map_or(Some(1), |exponent| 10_i128.checked_pow(exponent));
        let magnitude = factor.and_then(|factor| self.mantissa.checked_mul(factor)).map(i128::abs);
        // What is not an integer is far below.
        magnitude.is_none_or(|magnitude| self.exponent >= 0 && magnitude > 9_007_199_254_740_991)
    }
}

impl Json {
    fn has_numbers_beyond_doubles(&self) -> bool {
        match self {
            Self::Number(number) => number.is_beyond_doubles(),
            Self::Array(items) => items.iter().any(Self::has_numbers_beyond_doubles),
            Self::Object(members) => members.iter().any(|(_, value)| value.has_numbers_beyond_doubles()),
            Self::Null | Self::Bool(_) | Self::String(_) => false,
        }
    }
}

/// How a value is written down: every choice JSON leaves open, taken from a list of numbers.
struct Style<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Style<'_> {
    fn choose(&mut self, among: u8) -> u8 {
        self.0.next().copied().unwrap_or(0) % among
    }

    fn space(&mut self) -> &'static str {
        ["", " ", "\n", "\t  "][usize::from(self.choose(4))]
    }

    fn string(&mut self, text: &str) -> String {
        let escape = |style: &mut Self, c: char| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => ["\\n", "\\u000a"][usize::from(style.choose(2))].to_owned(),
            '\r' => ["\\r", "\\u000D"][usize::from(style.choose(2))].to_owned(),
            c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
            c if style.choose(5) == 0 => {
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
            }
            c => c.to_string(),
        };
        format!("\"{}\"", text.chars().map(|c| escape(self, c)).collect::<String>())
    }

    fn number(&mut self, Decimal { mantissa, exponent }: Decimal) -> String {
        match self.choose(4) {
            // 12e1 as 120, while that is short.
            0 if (0..18).contains(&exponent) && mantissa != 0 => {
                format!("{mantissa}{}", "0".repeat(exponent.unsigned_abs() as usize))
            }
            1 => format!("{mantissa}.0e{exponent}"),
            2 if mantissa != 0 => format!("{mantissa}0E{:+}", exponent - 1),
            _ if exponent == 0 => mantissa.to_string(),
            _ => format!("{mantissa}e{exponent}"),
        }
    }

    fn write(&mut self, value: &Json) -> String {
        let inner = match value {
            Json::Null => "null".to_owned(),
            Json::Bool(bool) => bool.to_string(),
            Json::Number(number) => self.number(*number),
            Json::String(text) => self.string(text),
            Json::Array(items) => {
                format!("[{}]", items.iter().map(|item| self.write(item)).collect::<Vec<_>>().join(","))
            }
            Json::Object(members) => {
                let mut written: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("{}{}:{}", self.string(key), self.space(), self.write(value)))
                    .collect();
                let by = usize::from(self.choose(7)) % written.len().max(1);
                written.rotate_left(by);
                format!("{{{}{}}}", written.join(","), self.space())
            }
        };
        format!("{}{inner}{}", self.space(), self.space())
    }
}

fn numbers() -> impl Strategy<Value = Json> {
    let near_the_limit = (9_007_199_254_740_985_i128..9_007_199_254_740_999).prop_map(|n| Decimal::new(n, 0));
    let near_another = (0_i128..8, 18_446_744_073_709_551_612_i128..18_446_744_073_709_551_620)
        .prop_map(|(times, n)| Decimal::new(n << times, 0));
    let decimals = (-999_999_999_999_999_999_i128..=999_999_999_999_999_999, -25_i32..20)
        .prop_map(|(m, e)| Decimal::new(m, e));
    let small = (-20_i128..20, -3_i32..3).prop_map(|(m, e)| Decimal::new(m, e));
    prop_oneof![2 => small, 1 => near_the_limit, 1 => near_another, 1 => decimals].prop_map(Json::Number)
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,2}",
        "[a\"\\\\\n\u{e9}\u{65}\u{301}\u{202e}\u{1f600}]{0,4}",
        "[\r\u{0}\u{8}\u{1b}\u{7f}\u{85}a]{0,3}"
    ]
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        numbers(),
        texts().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            members(inner).prop_map(Json::Object),
        ]
    })
}

fn members(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Vec<(String, Json)>> {
    prop::collection::btree_map(texts(), value, 0..4).prop_map(|map| map.into_iter().collect())
}

fn objects() -> impl Strategy<Value = Json> {
    members(values()).prop_map(Json::Object)
}

fn digest(text: &str) -> Result<ActionDigest, ProfileViolation> {
    let tool = ToolName::parse("drop_table").unwrap();
    Ok(Action { tool, arguments: CanonicalJson::parse(text)? }.digest())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_of_one_value_have_one_digest(value in objects(), styles in prop::collection::vec(any::<[u8; 32]>(), 2)) {
        let texts: Vec<_> = styles.iter().map(|style| Style(style.iter().cycle()).write(&value)).collect();
        match (digest(&texts[0]), digest(&texts[1])) {
            (Ok(one), Ok(other)) => prop_assert_eq!(one, other, "{:?}", texts),
            // Accepted or not is a matter of the value, too, but for large integers: those have to be written out.
            (one, other) => prop_assert!(
                one.is_ok() == other.is_ok() || value.has_numbers_beyond_doubles(),
                "{:?}", texts
            ),
        }
    }

    #[test]
    fn values_that_differ_have_digests_that_differ(one in objects(), other in objects(), style: [u8; 32]) {
        let write = |value: &Json| digest(&Style(style.iter().cycle()).write(value));
        if let (Ok(left), Ok(right)) = (write(&one), write(&other)) {
            prop_assert_eq!(left == right, one == other);
        }
    }

    #[test]
    fn numbers_that_differ_have_digests_that_differ(one in numbers(), other in numbers(), style: [u8; 32]) {
        let write = |number: &Json| digest(&Style(style.iter().cycle()).write(&Json::Object(vec![("n".into(), number.clone())])));
        if let (Ok(left), Ok(right)) = (write(&one), write(&other)) {
            prop_assert_eq!(left == right, one == other);
        }
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form(value in objects(), style: [u8; 32]) {
        if let Ok(canonical) = CanonicalJson::parse(&Style(style.iter().cycle()).write(&value)) {
            prop_assert_eq!(&CanonicalJson::parse(canonical.as_str()).unwrap(), &canonical);
            prop_assert_eq!(&CanonicalJson::parse(&canonical.indented()).unwrap(), &canonical);
        }
    }

    #[test]
    fn no_text_whatever_breaks_the_parser(text in "[\\[\\]{}\",:0-9eE.+\\-\\\\ua-f \u{0}\u{7f}\u{2028}]{0,60}") {
        let _ = CanonicalJson::parse(&text);
    }
}

/// RFC 8785 sorts by UTF-16 code units, which is not the order of code points.
#[test]
fn keys_are_sorted_as_rfc_8785_sorts() {
    let text = r#"{"\ufb33":1,"\ud83d\ude00":2,"\u20ac":3,"\r":4,"\u0080":5}"#;
    let canonical = CanonicalJson::parse(text).unwrap();
    assert_eq!(canonical.as_str(), "{\"\\r\":4,\"\u{80}\":5,\"€\":3,\"😀\":2,\"\u{fb33}\":1}");
}

/// The digest as any implementation computes it from the design's one sentence.
#[test]
fn the_digest_is_sha_256_of_the_canonical_text() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let rows = [
        (r#"{ "b": 1.50, "a": "x" }"#, r#"{"arguments":{"a":"x","b":1.5},"tool":"drop_table"}"#),
        (
            r#"{ "b": [9007199254740993], "a": 1e3 }"#,
            r#"{"arguments":{"a":1000,"b":[9007199254740993]},"integers":"exact","tool":"drop_table"}"#,
        ),
    ];
    for (arguments, text) in rows {
        let expected = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(text));
        assert_eq!(digest(arguments).unwrap().to_string(), expected);
    }
}

/// An implementation of RFC 8785 rounds every number to a double: what it then hashes is never what was approved.
#[test]
fn no_digest_of_a_large_integer_is_one_that_a_rounding_verifier_finds() {
    use base64::Engine as _;
    use sha2::Digest as _;
    for integer in ["9007199254740992", "9007199254740993", "18446744073709551615", "100000000000000000000"] {
        let value: serde_json::Value = serde_json::from_str(integer).unwrap();
        let rounding = serde_json::json!({"arguments": {"n": value}, "tool": "drop_table"});
        let rounded = sha2::Sha256::digest(serde_json_canonicalizer::to_string(&rounding).unwrap());
        let rounded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rounded);
        assert_ne!(digest(&format!(r#"{{"n":{integer}}}"#)).unwrap().to_string(), rounded);
    }
}
