//! Baseline: the same list requests with the program's HTTP client, each answer parsed by `serde_json` and discarded.

use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::de::IgnoredAny;
use ucdn_watch::config::HttpSettings;
use ucdn_watch::http::{BodyLimit, HttpClient, HttpRequest};
use ucdn_watch::secret::{Secret, SecretUrl};

use crate::measured::{Cost, Running};

/// Runs the baseline as its own process, for requests with these forms.
pub(crate) fn run(url: &str, forms: &[String]) -> io::Result<Cost> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["baseline", "--url", url])
        .stdin(Stdio::piped());
    let mut running = Running::start(command.stdout(Stdio::null()))?;
    if let Some(mut input) = running.child().stdin.take() {
        input.write_all(forms.join("\n").as_bytes())?;
    }
    running.end(&[0])
}

/// The baseline process: reads one form per line from standard input.
pub(crate) fn fetch(url: String) -> Result<(), Box<dyn std::error::Error>> {
    let settings = HttpSettings {
        timeout: Duration::from_secs(70),
        headers: Vec::new(),
        proxy: None,
        ca_certificates: None,
    };
    let client = HttpClient::new(&settings, BodyLimit::RefuseOver(64 << 20))?;
    let url = SecretUrl::parse(Secret::new(url))?;
    for form in io::stdin().lock().lines() {
        let form = form?;
        let request = HttpRequest::Post {
            content_type: "application/x-www-form-urlencoded",
            body: form.as_bytes(),
        };
        let answer = client.call(&url, request, &[])?;
        let IgnoredAny = serde_json::from_slice(&answer.body)?;
    }
    Ok(())
}
