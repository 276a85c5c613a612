//! Tests of the vendors' responses: success, errors, and what they mean for the delivery.

use http::StatusCode;

use crate::config::Vendor;
use crate::deliver::{Disposition, EndpointResponse};
use crate::domain::model::Timestamp;
use crate::formats::{dingtalk, feishu, slack, wecom};

fn disposition(vendor: Vendor, body: &str) -> (Disposition, String) {
    let body = body.as_bytes();
    let error = match vendor {
        Vendor::Slack => slack::error(body),
        Vendor::Feishu => feishu::error(body),
        Vendor::DingTalk => dingtalk::error(body),
        Vendor::WeCom => wecom::error(body),
    };
    let response = match error {
        Some(error) => EndpointResponse::VendorError(error),
        None => EndpointResponse::Status {
            status: StatusCode::OK,
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
fn an_unknown_body_is_no_success() {
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
            let (seconds, text) = retry_delay(vendor, body);
            assert_eq!(seconds, 0, "{vendor:?} {body}");
            assert_eq!(text, "the response's body is not understood");
        }
    }
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
    assert_eq!((seconds, text.as_str()), (0, "code -1"));
}
