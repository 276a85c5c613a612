//! The demo, without its thirty seconds.

use std::net::TcpStream;

use super::*;
use crate::config::FirstRun;

fn demo_config() -> (Simulator, Config) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(Settings::default()).unwrap();
    let receiver = Receiver::bind(b"key").unwrap();
    let text = config_text(&simulator, &receiver, folder.path());
    let config = write_and_load(&folder.path().join("config.toml"), &text).unwrap();
    (simulator, config)
}

#[test]
fn its_config_is_valid_and_shown_without_keys() {
    let (simulator, config) = demo_config();
    let target = config.targets.values().next().unwrap();
    assert_eq!(target.poll.first_run, FirstRun::All);
    assert_eq!(config.webhooks.len(), 2);
    let receiver = Receiver::bind(b"key").unwrap();
    let shown = shown(&config_text(&simulator, &receiver, Path::new("/tmp")));
    for hidden in [simulator.private_key(), SECRET.to_owned()] {
        assert!(!shown.contains(&hidden), "{shown}");
    }
    assert!(shown.contains("private_key = \"…\""), "{shown}");
}

#[test]
fn every_event_goes_to_exactly_one_of_its_webhooks() {
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
fn the_receiver_refuses_what_is_not_signed() {
    use std::io::{Read as _, Write as _};
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let receiver = Receiver::bind(b"key").unwrap();
    let address = receiver.url("");
    let address = address.strip_prefix("http://").unwrap().to_owned();
    let receiving = receiver
        .start(Narrator::new(Arc::clone(&clock)), clock)
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /chat HTTP/1.1\r\ncontent-length: 2\r\n\r\n{{}}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    receiving.stop();
}
