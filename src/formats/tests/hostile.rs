//! Tests with hostile text from outside: markup, mentions, links to other places.

use proptest::prelude::*;

use super::*;

const ATTACKS: [&str; 12] = [
    "http://example.com/<!channel>",
    "http://example.com/<https://evil.example|https://good.example>",
    "[https://good.example](https://evil.example)",
    "![](https://evil.example/pixel.png)",
    "<at id=all></at><at user_id=\"all\">all</at>",
    "<@all> @all @everyone <@U012AB3CD>",
    "<font color=\"info\">all is well</font>",
    "http://example.com/\n### UCDN: all is well\n> quote",
    "`code` **bold** *bold* ~~gone~~",
    "http://example.com/\u{202e}gpj.elgoog\u{200b}",
    "<a href='https://evil.example'>good</a>",
    "&lt;!channel&gt; &#60;@all&#62;",
];

/// Events with the text in every field that comes from outside.
fn poisoned(text: &str) -> Vec<EventDraft> {
    let mut odd = task(text, EventType::TaskUnknown, Status::Other(text.to_owned()));
    odd.summary = text.to_owned();
    vec![
        failure(text, &[text, "https://example.com/good"]),
        odd,
        watch(EventType::WatchFailing, "blog", text),
        task(
            text,
            EventType::TaskVanished,
            Status::Other(text.to_owned()),
        ),
    ]
}

/// Fails if the message contains markup other than our own.
fn stays_text(vendor: Vendor, body: &Value) -> Result<(), String> {
    let text = texts(body);
    let without = |own: &[&str]| {
        own.iter()
            .fold(text.clone(), |text, own| text.replace(own, ""))
    };
    let rest = match vendor {
        Vendor::WeCom => without(&[
            "<font color=\"warning\">",
            "<font color=\"info\">",
            "<font color=\"comment\">",
            "</font>",
            "**",
            "###",
        ]),
        Vendor::DingTalk => without(&["**", "###"]),
        // Its texts are plain, except for what stands in code spans.
        Vendor::Slack => without(&["*", "`"]),
        Vendor::Feishu => text,
    };
    let bad: Vec<char> = match vendor {
        Vendor::Slack => vec!['<', '>', '@', '[', '*', '`'],
        _ => vec!['<', '@', '[', ']', '*', '`'],
    };
    match rest.chars().find(|c| bad.contains(c)) {
        Some(c) => Err(format!("{vendor:?} lets {c:?} through: {rest}")),
        None => Ok(()),
    }
}

/// In Slack's messages text from outside is between backticks, which must be balanced.
fn spans_are_closed(body: &Value) {
    for line in texts(body).lines() {
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
    }
}

#[test]
fn no_attack_becomes_markup_a_mention_or_a_link() {
    for vendor in VENDORS {
        for attack in ATTACKS {
            for language in [Language::En, Language::Zh] {
                let body = sent(&chat(vendor, language), &poisoned(attack));
                stays_text(vendor, &body).unwrap_or_else(|error| panic!("{attack}: {error}"));
            }
        }
    }
}

#[test]
fn an_attack_adds_no_line() {
    let lines = |vendor, text: &str| {
        texts(&sent(&chat(vendor, Language::En), &poisoned(text)))
            .lines()
            .count()
    };
    for vendor in VENDORS {
        let usual = lines(vendor, "https://example.com/x");
        for attack in ATTACKS {
            assert_eq!(lines(vendor, attack), usual, "{vendor:?} {attack}");
        }
    }
}

#[test]
fn invisible_characters_are_escaped_or_replaced() {
    let body = sent(&chat(Vendor::Feishu, Language::En), &poisoned(ATTACKS[9]));
    let text = texts(&body);
    assert!(
        text.contains("http://example.com/%E2%80%AEgpj.elgoog%E2%80%8B"),
        "{text}"
    );
    assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text}");
}

#[test]
fn entities_for_slack_are_escaped_once() {
    let url = "http://example.com/?a=1&b=2&lt;";
    let body = sent(&chat(Vendor::Slack, Language::En), &[failure("t", &[url])]);
    assert!(texts(&body).contains("`http://example.com/?a=1&amp;b=2&amp;lt;`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_becomes_markup(text in "([<>@!#*`\\[\\]()|&~_\\\\ \\n\\r\\t\"'a-z:/.=\u{202e}\u{200b}\u{2028}]{0,60})|(\\PC{0,60})") {
        for vendor in VENDORS {
            let body = sent(&chat(vendor, Language::En), &poisoned(&text));
            if let Err(error) = stays_text(vendor, &body) {
                prop_assert!(false, "{}", error);
            }
            if vendor == Vendor::Slack {
                spans_are_closed(&body);
            }
        }
    }
}
