//! Parts of `demo`, without its thirty seconds.

use std::net::TcpStream;

use super::*;
use crate::config::FirstRun;

fn demo_config() -> (Simulator, Config) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(Settings::default()).unwrap();
    let receiver = BoundReceiver::bind(b"key").unwrap();
    let text = config_text(&simulator, &receiver, folder.path());
    let config = write_and_load(&folder.path().join("config.toml"), &text).unwrap();
    (simulator, config)
}

#[test]
fn the_config_is_valid_and_shown_without_keys() {
    let (simulator, config) = demo_config();
    let target = config.targets.values().next().unwrap();
    assert_eq!(target.poll.first_run, FirstRun::All);
    assert_eq!(config.webhooks.len(), 2);
    let receiver = BoundReceiver::bind(b"key").unwrap();
    let shown = shown(&config_text(&simulator, &receiver, Path::new("/tmp")));
    for hidden in [simulator.private_key(), SECRET.to_owned()] {
        assert!(!shown.contains(&hidden), "{shown}");
    }
    assert!(shown.contains("private_key = \"…\""), "{shown}");
    for line in shown.lines() {
        assert!(line.chars().count() <= 76, "{line}");
    }
}

#[test]
fn every_event_type_goes_to_exactly_one_webhook() {
    let (_simulator, config) = demo_config();
    for r#type in crate::domain::event::EventType::ALL {
        let wanting = config.webhooks.values().filter(|webhook| {
            let mut patterns = webhook.on.iter();
            patterns.any(|pattern| pattern.matches(r#type.as_str()))
        });
        let expected = usize::from(r#type != crate::domain::event::EventType::Test);
        assert_eq!(wanting.count(), expected, "{type:?}");
    }
}

#[test]
fn the_receiver_refuses_unsigned_requests() {
    use std::io::{Read as _, Write as _};
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let receiver = BoundReceiver::bind(b"key").unwrap();
    let address = receiver.url("");
    let address = address.strip_prefix("http://").unwrap().to_owned();
    let receiver = receiver.start(clock).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /chat HTTP/1.1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    receiver.stop();
}
