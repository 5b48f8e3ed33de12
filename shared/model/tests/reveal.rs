//! What a reader cannot see, or would take for something else, is named.

use sayso_model::{Piece, reveal, reveal_to_string};

#[test]
fn hidden_and_look_alike_characters_are_named() {
    let rows = [
        ("plain text, 1.5 € — “quoted”", "plain text, 1.5 € — “quoted”"),
        ("Größe naïve 東京 Москва Ελλάδα", "Größe naïve 東京 Москва Ελλάδα"),
        ("a\u{202e}b", "a⟨U+202E direction override⟩b"),
        ("prod\u{200b}uction", "prod⟨U+200B zero-width space⟩uction"),
        ("a\u{a0}b", "a⟨U+00A0 no-break space⟩b"),
        ("\u{7}", "⟨U+0007 control⟩"),
        ("\u{e0041}", "⟨U+E0041 tag⟩"),
        ("\u{3164}", "⟨U+3164⟩"),
        ("p\u{430}ypal", "p\u{430}⟨U+0430⟩ypal"),
        // A whole word in Cyrillic that reads as Latin.
        ("\u{441}\u{43e}\u{440}\u{435}", "\u{441}⟨U+0441⟩\u{43e}⟨U+043E⟩\u{440}⟨U+0440⟩\u{435}⟨U+0435⟩"),
        ("etc\u{2215}passwd", "etc\u{2215}⟨U+2215⟩passwd"),
        ("https\u{a789}//a", "https\u{a789}⟨U+A789⟩//a"),
        ("line\nline\ttab", "line\nline\ttab"),
    ];
    for (text, shown) in rows {
        assert_eq!(reveal_to_string(text), shown);
    }
}

#[test]
fn a_pile_of_combining_marks_does_not_cover_the_line_above() {
    let pile = format!("a{}", "\u{301}".repeat(50));
    assert_eq!(reveal(&pile).iter().filter(|piece| matches!(piece, Piece::Hidden(_))).count(), 48);
}

#[test]
fn nothing_is_dropped() {
    let text = "a\u{202e}b \u{430}bc\u{200d}\u{fe0f}\n\u{ffff}z";
    let back: String = reveal(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(plain) => plain.to_owned(),
            Piece::Hidden(c) | Piece::LookAlike(c) => c.to_string(),
        })
        .collect();
    assert_eq!(back, text);
}
