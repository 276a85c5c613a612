//! What vendors answer, and what becomes of the message.

use crate::config::Vendor;
use crate::deliver::Verdict;
use crate::formats::{dingtalk, feishu, slack, wecom};

fn verdict(vendor: Vendor, status: u16, body: &str) -> (Verdict, String) {
    let body = body.as_bytes();
    let refusal = match vendor {
        Vendor::Slack => slack::refusal(status, body),
        Vendor::Feishu => feishu::refusal(body),
        Vendor::DingTalk => dingtalk::refusal(body),
        Vendor::WeCom => wecom::refusal(body),
    };
    refusal.map_or((Verdict::Delivered, String::new()), |refusal| {
        (refusal.verdict(), refusal.to_string())
    })
}

/// The seconds that a retry is put off by at the least.
fn put_off(vendor: Vendor, status: u16, body: &str) -> (u64, String) {
    match verdict(vendor, status, body) {
        (Verdict::Retry { retry_after }, said) => (retry_after.unwrap_or_default().as_secs(), said),
        other => panic!("{vendor:?} {body}: {other:?}"),
    }
}

#[test]
fn a_yes_is_read_from_the_body() {
    for (vendor, body) in [
        (Vendor::Feishu, r#"{"code":0,"msg":"success","data":{}}"#),
        (
            Vendor::Feishu,
            r#"{"Extra":null,"StatusCode":0,"StatusMessage":"success"}"#,
        ),
        (Vendor::DingTalk, r#"{"errcode":0,"errmsg":"ok"}"#),
        (Vendor::WeCom, r#"{"errcode":0,"errmsg":"ok"}"#),
        (Vendor::Slack, "ok"),
    ] {
        assert_eq!(
            verdict(vendor, 200, body).0,
            Verdict::Delivered,
            "{vendor:?} {body}"
        );
    }
}

#[test]
fn a_body_that_says_nothing_is_no_yes() {
    for vendor in super::VENDORS {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"code":"0"}"#,
            r#"{"errcode":null}"#,
        ] {
            let (seconds, said) = put_off(vendor, 200, body);
            assert_eq!(seconds, 0, "{vendor:?} {body}");
            assert_eq!(said, "the answer's body says neither yes nor no");
        }
    }
}

#[test]
fn too_many_messages_are_put_off_as_long_as_the_vendor_blocks() {
    for (vendor, body, seconds) in [
        (
            Vendor::Feishu,
            r#"{"code":11232,"msg":"frequency limited"}"#,
            60,
        ),
        (
            Vendor::Feishu,
            r#"{"code":9499,"msg":"Too Many Requests"}"#,
            60,
        ),
        (
            Vendor::DingTalk,
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            610,
        ),
        (
            Vendor::WeCom,
            r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
            60,
        ),
    ] {
        let (asked, said) = put_off(vendor, 200, body);
        assert_eq!(asked, seconds, "{vendor:?}");
        assert!(said.ends_with("too many messages"), "{said}");
    }
}

#[test]
fn what_an_operator_must_mend_is_tried_slowly_and_said() {
    for (vendor, body, look_at) in [
        (
            Vendor::Feishu,
            r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#,
            "`url`",
        ),
        (
            Vendor::Feishu,
            r#"{"code":19021,"msg":"sign match fail"}"#,
            "`secret`",
        ),
        (
            Vendor::Feishu,
            r#"{"code":19022,"msg":"Ip Not Allowed"}"#,
            "address",
        ),
        (
            Vendor::Feishu,
            r#"{"code":19024,"msg":"Key Words Not Found"}"#,
            "`title`",
        ),
        (
            Vendor::DingTalk,
            r#"{"errcode":310000,"errmsg":"keywords not in content"}"#,
            "`title`",
        ),
        (
            Vendor::WeCom,
            r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
            "`url`",
        ),
        (Vendor::Slack, "no_service", "`url`"),
    ] {
        let (seconds, said) = put_off(vendor, 200, body);
        assert_eq!(seconds, 300, "{vendor:?} {body}");
        assert!(said.contains(look_at), "{said}");
    }
}

#[test]
fn a_message_that_is_refused_is_dead() {
    for (vendor, body) in [
        (Vendor::Feishu, r#"{"code":9499,"msg":"Bad Request"}"#),
        (
            Vendor::WeCom,
            r#"{"errcode":40058,"errmsg":"invalid Request Parameter"}"#,
        ),
        (Vendor::Slack, "invalid_payload"),
    ] {
        assert_eq!(verdict(vendor, 200, body).0, Verdict::Refused, "{vendor:?}");
    }
}

#[test]
fn a_code_that_nobody_knows_is_tried_again_and_told() {
    let (seconds, said) = put_off(
        Vendor::WeCom,
        200,
        r#"{"errcode":-1,"errmsg":"system busy: @all"}"#,
    );
    assert_eq!((seconds, said.as_str()), (0, "code -1"));
}
