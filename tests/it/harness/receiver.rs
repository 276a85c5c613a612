//! A webhook receiver on a free port: records what it gets, and answers as the test says.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::manner::{self, After, Manner};
use super::{Stopwatch, eventually};

/// Listens until the test process ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    poured: Arc<AtomicU64>,
}

struct State {
    begun: Stopwatch,
    next: VecDeque<Answer>,
    usual: Answer,
    deliveries: Vec<Delivery>,
}

/// One request, in the order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Since the receiver's start.
    pub(crate) at: Duration,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The status of the answer; 0: it got none.
    pub(crate) answered: u16,
}

/// What a request gets.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: String,
    manner: Manner,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            manner: Manner::Whole,
        }
    }

    /// 200, and what chats say in the body.
    pub(crate) fn says(body: &str) -> Self {
        Self::status(200).sent(Manner::Says(body.to_owned()))
    }

    /// None, ever.
    pub(crate) fn hang() -> Self {
        Self::status(0).sent(Manner::Hang)
    }

    /// In this manner.
    pub(crate) fn sent(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.extend([name, ": ", value, "\r\n"]);
        self
    }
}

impl Receiver {
    /// Answers 204 until it is told otherwise.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(Mutex::new(State {
            begun: Stopwatch::start(),
            next: VecDeque::new(),
            usual: Answer::status(204),
            deliveries: Vec::new(),
        }));
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::clone(&state),
            poured: Arc::default(),
        };
        let poured = Arc::clone(&receiver.poured);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (state, poured) = (Arc::clone(&state), Arc::clone(&poured));
                thread::spawn(move || serve(connection, &state, &poured));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers the next requests so, and the others as before.
    pub(crate) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().next.extend(answers);
    }

    /// Answers all requests so, but for those that [`Self::answer_next`] speaks of.
    pub(crate) fn answer_always(&self, answer: Answer) {
        self.state.lock().unwrap().usual = answer;
    }

    /// From now on each request is answered 204.
    pub(crate) fn be_well(&self) {
        let mut state = self.state.lock().unwrap();
        state.next.clear();
        state.usual = Answer::status(204);
    }

    /// How many requests there were.
    pub(crate) fn delivery_count(&self) -> usize {
        self.state.lock().unwrap().deliveries.len()
    }

    /// Bytes of huge answers that went out so far.
    pub(crate) fn poured(&self) -> u64 {
        self.poured.load(Ordering::Relaxed)
    }

    /// Every request so far.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().unwrap().deliveries.clone()
    }

    /// The events of requests that were answered 2xx, in the order of arrival.
    pub(crate) fn events(&self) -> Vec<Value> {
        let deliveries = self.deliveries().into_iter();
        let accepted = deliveries.filter(|it| (200..300).contains(&it.answered));
        accepted.map(|it| it.event()).collect()
    }

    /// Waits until it has so many events, and gives them all.
    pub(crate) fn wait_for_events(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} events at the receiver"), || {
            Some(self.events()).filter(|it| it.len() >= count)
        })
    }

    /// Waits until so many requests have come, whatever their answers, and gives them all.
    pub(crate) fn wait_for_deliveries(&self, count: usize) -> Vec<Delivery> {
        eventually(&format!("{count} requests at the receiver"), || {
            Some(self.deliveries()).filter(|it| it.len() >= count)
        })
    }
}

impl Delivery {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        let found = headers.find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Reads requests until the connection ends, and answers each.
fn serve(connection: TcpStream, state: &Mutex<State>, poured: &AtomicU64) {
    let mut reader = BufReader::new(connection);
    while let Ok(mut delivery) = read(&mut reader) {
        let answer = {
            let mut state = state.lock().unwrap();
            let answer = state.next.pop_front();
            let answer = answer.unwrap_or_else(|| state.usual.clone());
            delivery.answered = answer.status;
            delivery.at = state.begun.elapsed();
            state.deliveries.push(delivery);
            answer
        };
        let Answer {
            status,
            headers,
            manner,
        } = answer;
        let head = format!("HTTP/1.1 {status} Status\r\n{headers}");
        let sent = manner::send(&mut reader, &manner, &head, poured);
        if !matches!(sent, Ok(After::Keep)) {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Delivery> {
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Delivery {
        at: Duration::ZERO,
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        headers,
        body: String::from_utf8(body).unwrap(),
        answered: 0,
    })
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}
