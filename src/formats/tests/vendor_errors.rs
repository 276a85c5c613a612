//! Tests of the vendors' responses: success, errors, and what they mean for the delivery.

use http::StatusCode;

use crate::config::Vendor;
use crate::deliver::{Disposition, EndpointResponse};
use crate::domain::model::Timestamp;
use crate::formats::{dingtalk, feishu, slack, wecom};

fn disposition(vendor: Vendor, body: &str) -> (Disposition, String) {
    disposition_of(vendor, StatusCode::OK, body)
}

fn disposition_of(vendor: Vendor, status: StatusCode, body: &str) -> (Disposition, String) {
    let body = body.as_bytes();
    let error = match vendor {
        Vendor::Slack => slack::error(status, body),
        Vendor::Feishu => feishu::error(body),
        Vendor::DingTalk => dingtalk::error(body),
        Vendor::WeCom => wecom::error(body),
    };
    let response = match error {
        Some(error) => EndpointResponse::VendorError(error),
        None => EndpointResponse::Status {
            status,
            retry_after: None,
            date: None,
        },
    };
    (response.disposition(Timestamp::EPOCH), response.to_string())
}

/// Least delay of the retry, in seconds.
fn retry_delay(vendor: Vendor, body: &str) -> (u64, String) {
    match disposition(vendor, body) {
        (Disposition::Retry { retry_after }, text) => {
            (retry_after.unwrap_or_default().as_secs(), text)
        }
        other => panic!("{vendor:?} {body}: {other:?}"),
    }
}

#[test]
fn a_success_is_read_from_the_body() {
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
            disposition(vendor, body).0,
            Disposition::Delivered,
            "{vendor:?} {body}"
        );
    }
}

#[test]
fn an_unknown_body_is_no_success_and_is_quoted() {
    for vendor in super::VENDORS {
        for body in [
            "<html>moved</html>",
            "{}",
            "[]",
            "null",
            r#"{"code":"0"}"#,
            r#"{"errcode":null}"#,
        ] {
            let (seconds, text) = retry_delay(vendor, body);
            assert_eq!(seconds, 0, "{vendor:?} {body}");
            let expected = format!("the response's body is not understood: {body}");
            assert_eq!(text, expected, "{vendor:?}");
        }
    }
    for vendor in [Vendor::Feishu, Vendor::DingTalk, Vendor::WeCom] {
        let (_, text) = retry_delay(vendor, " \n");
        assert_eq!(text, "the response's body is not understood");
    }
}

#[test]
fn a_quote_is_short_and_one_line() {
    let long = format!("<p>\r\n\tmoved\u{1b}[2J\u{202e}{}", "x".repeat(1_000));
    for vendor in super::VENDORS {
        let (_, text) = retry_delay(vendor, &long);
        let start = "the response's body is not understood: <p> moved\\u{1b}[2J\\u{202e}xx";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("x…") && text.chars().count() < 200, "{text}");
    }
}

#[test]
fn receivers_that_speak_slacks_format_have_more_ways_to_say_success() {
    for body in [
        "ok",
        "OK\n",
        "",
        " \r\n",
        r#"{"ok":true}"#,
        r#"{"success":true}"#,
        r#"{"result":"success","msg":"","id":42}"#,
        " {\"ok\": true, \"warning\": \"x\"}\n",
    ] {
        let delivered = (Disposition::Delivered, "HTTP 200".to_owned());
        assert_eq!(disposition(Vendor::Slack, body), delivered, "{body}");
    }
    for body in ["", "anything"] {
        let result = disposition_of(Vendor::Slack, StatusCode::NO_CONTENT, body).0;
        assert_eq!(result, Disposition::Delivered, "{body}");
    }
    for body in [
        r#"{"ok":false}"#,
        r#"{"success":false,"error":"error-invalid-channel"}"#,
        r#"{"success":true,"ok":false}"#,
        r#"{"result":"error","msg":"Invalid API key"}"#,
        r#"{"ok":"true"}"#,
        "okay",
    ] {
        let (seconds, text) = retry_delay(Vendor::Slack, body);
        assert_eq!(seconds, 0, "{body}");
        assert!(text.ends_with(body), "{text}");
    }
    let known = disposition(Vendor::Slack, r#"{"ok":false,"error":"invalid_payload"}"#).0;
    assert_eq!(known, Disposition::Rejected);
}

#[test]
fn a_rate_limit_delays_the_retry_as_long_as_the_vendor_blocks() {
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
        let (asked, text) = retry_delay(vendor, body);
        assert_eq!(asked, seconds, "{vendor:?}");
        assert!(text.ends_with("too many messages"), "{text}");
    }
}

#[test]
fn an_error_that_only_an_operator_can_fix_is_retried_slowly_with_advice() {
    for (vendor, body, advice) in [
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
        let (seconds, text) = retry_delay(vendor, body);
        assert_eq!(seconds, 300, "{vendor:?} {body}");
        assert!(text.contains(advice), "{text}");
        let message = body.split('"').rev().nth(1).unwrap_or(body);
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn a_refused_message_is_dead() {
    for (vendor, body) in [
        (Vendor::Feishu, r#"{"code":9499,"msg":"Bad Request"}"#),
        (
            Vendor::WeCom,
            r#"{"errcode":40058,"errmsg":"invalid Request Parameter"}"#,
        ),
        (Vendor::Slack, "invalid_payload"),
    ] {
        assert_eq!(
            disposition(vendor, body).0,
            Disposition::Rejected,
            "{vendor:?}"
        );
    }
}

#[test]
fn an_unknown_code_is_retried_and_named() {
    let (seconds, text) = retry_delay(
        Vendor::WeCom,
        r#"{"errcode":-1,"errmsg":"system busy: @all"}"#,
    );
    assert_eq!((seconds, text.as_str()), (0, "code -1 (system busy: @all)"));
}
