//! State of the simulator: tasks, options, clock, faults and the request log.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clock::{self, SimulatedClock};
use super::faults::Faults;
use super::options::{Options, Order, Place};
use super::response_writer::HttpResponse;
use super::script::{Script, Step};
use super::tasks::{SimulatedTask, TaskKind, TaskSpec, TaskState};

/// Size of the request log. When it is full, the older half is dropped.
const MAX_LOGGED_REQUESTS: usize = 10_000;

/// The keys that are accepted.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) public: String,
    pub(crate) private: String,
    pub(crate) security_token: Option<String>,
}

/// A request to the API, without keys and signature. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// From 1.
    pub number: u64,
    /// When it arrived, by the simulator's clock.
    pub time: i64,
    /// When it arrived, in milliseconds of real time since the start.
    pub elapsed_ms: i64,
    /// `Action`.
    pub action: Option<String>,
    /// `Offset`.
    pub offset: Option<u64>,
    /// `Limit`.
    pub limit: Option<u64>,
    /// `BeginTime`.
    pub begin: Option<i64>,
    /// `EndTime`.
    pub end: Option<i64>,
    /// `Status`.
    pub status: Option<String>,
    /// `IsDcdn`.
    pub is_dcdn: Option<bool>,
    /// `ProjectId`.
    pub project_id: Option<String>,
    /// `TaskId.N`, by number.
    pub task_ids: Vec<String>,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// `RetCode` of the response, before faults damaged it.
    pub ret_code: i64,
    /// How many faults hit it.
    pub faults: usize,
}

/// A response of the API, as it was sent.
#[derive(Clone, Debug)]
pub struct ResponseRecord {
    /// The request that it answers.
    pub request: RequestRecord,
    /// The HTTP status.
    pub status: u16,
    /// The body. `None` if the client did not receive all of it.
    pub body: Option<String>,
}

#[derive(Debug)]
pub(crate) struct SimState {
    pub(crate) endpoint: String,
    pub(crate) keys: Keys,
    pub(crate) options: Options,
    pub(crate) clock: SimulatedClock,
    pub(crate) faults: Faults,
    pub(crate) tasks: Vec<SimulatedTask>,
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) request_count: u64,
    /// `None` if they are not recorded.
    pub(crate) responses: Option<Vec<ResponseRecord>>,
    /// Page of the current walk, by action.
    pages: BTreeMap<String, u32>,
    made_ids: u64,
    newest_rank: i64,
    oldest_rank: i64,
}

impl SimState {
    pub(crate) fn new(endpoint: String, keys: Keys, options: Options) -> Self {
        Self {
            endpoint,
            keys,
            options,
            clock: SimulatedClock::start(),
            faults: Faults::default(),
            tasks: Vec::new(),
            requests: Vec::new(),
            request_count: 0,
            responses: None,
            pages: BTreeMap::new(),
            made_ids: 0,
            newest_rank: 0,
            oldest_rank: 0,
        }
    }

    /// Adds a task, or replaces the one with its id and keeps that one's time if the new one has none. Returns the id.
    pub(crate) fn add(&mut self, spec: TaskSpec) -> String {
        self.newest_rank += 1;
        self.add_ranked(spec, self.newest_rank)
    }

    /// Adds a task that a client submitted. It is listed after the delay of the options.
    pub(crate) fn submit(&mut self, spec: TaskSpec) -> String {
        let id = self.add(spec);
        let delay_ms = self.options.listed_after.0;
        if let Some(task) = self.tasks.last_mut() {
            task.listed_from_ms = task.listed_from_ms.saturating_add_unsigned(delay_ms);
        }
        id
    }

    fn add_ranked(&mut self, mut spec: TaskSpec, rank: i64) -> String {
        let now_ms = self.clock.now_ms();
        // A new id is unique, and searching for it would make a long list slow to fill.
        let (id, replaced) = match spec.id.take() {
            Some(id) => {
                let place = self.tasks.iter().position(|task| task.id == id);
                (id, place.map(|place| self.tasks.remove(place)))
            }
            None => (self.new_id(now_ms), None),
        };
        let (created_ms, rank) = match (spec.created, replaced) {
            (Some(seconds), _) => (seconds.saturating_mul(1000), rank),
            (None, Some(replaced)) => (replaced.created_ms, replaced.rank),
            (None, None) => (now_ms, rank),
        };
        self.tasks
            .push(SimulatedTask::new(id.clone(), rank, created_ms, spec));
        id
    }

    /// An id in the vendor's form: the time and a number in hex.
    fn new_id(&mut self, now_ms: i64) -> String {
        self.made_ids += 1;
        let time = clock::system_time(now_ms.div_euclid(1000));
        let digits: String = humantime::format_rfc3339_seconds(time)
            .to_string()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        format!("{digits}_{:08x}", self.made_ids)
    }

    /// Removes a task. Returns whether it existed.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let before = self.tasks.len();
        self.tasks.retain(|task| task.id != id);
        self.tasks.len() < before
    }

    /// Adds a step whose time counts from now. Returns whether the task exists.
    pub(crate) fn add_step(&mut self, id: &str, step: Step) -> bool {
        let now_ms = self.clock.now_ms();
        let task = self.tasks.iter_mut().find(|task| task.id == id);
        task.map(|task| task.add_step(now_ms, step)).is_some()
    }

    pub(crate) fn task_states(&self) -> Vec<TaskState> {
        let now_ms = self.clock.now_ms();
        self.tasks.iter().map(|task| task.state(now_ms)).collect()
    }

    /// The page of its walk that a list request is for, from 1.
    pub(crate) fn page_of(&mut self, action: &str, offset: u64) -> u32 {
        let page = self.pages.entry(action.to_owned()).or_default();
        *page = if offset == 0 {
            1
        } else {
            page.saturating_add(1)
        };
        *page
    }

    pub(crate) fn log(&mut self, mut record: RequestRecord, response: &HttpResponse) {
        self.request_count += 1;
        record.number = self.request_count;
        if let Some(responses) = &mut self.responses {
            responses.push(ResponseRecord {
                request: record.clone(),
                status: response.status,
                body: response.whole_body(),
            });
        }
        if self.requests.len() >= MAX_LOGGED_REQUESTS {
            self.requests.drain(..MAX_LOGGED_REQUESTS / 2);
        }
        self.requests.push(record);
    }

    pub(crate) fn forget_requests(&mut self) {
        self.requests.clear();
        self.request_count = 0;
    }

    /// Inserts and removes tasks after a list request, as the options say. `listed` holds ids and times in list order.
    pub(crate) fn shift(&mut self, kind: TaskKind, is_dcdn: bool, listed: &[(String, i64)]) {
        let shift = self.options.removals;
        if self.options.removals.is_due() {
            let start = match shift.at {
                Place::Front => 0,
                Place::Middle => listed.len().saturating_sub(shift.count) / 2,
                Place::Back => listed.len().saturating_sub(shift.count),
            };
            for (id, _) in listed.iter().skip(start).take(shift.count) {
                self.remove(id);
            }
        }
        let shift = self.options.inserts;
        if self.options.inserts.is_due() {
            for _ in 0..shift.count {
                self.insert(kind, is_dcdn, shift.at, listed);
            }
        }
    }

    /// The new task has the time of its neighbour, so that a window with a fixed end does not exclude it.
    fn insert(&mut self, kind: TaskKind, is_dcdn: bool, at: Place, listed: &[(String, i64)]) {
        let neighbour = match at {
            Place::Front => listed.first(),
            Place::Middle => listed.get(listed.len() / 2),
            Place::Back => listed.last(),
        };
        let newer_first = self.options.order != Order::Oldest;
        let rank = if (at == Place::Back) == newer_first {
            self.oldest_rank -= 1;
            self.oldest_rank
        } else {
            self.newest_rank += 1;
            self.newest_rank
        };
        let url = format!("http://example.com/inserted-{rank}");
        let mut spec = TaskSpec::new([url.as_str()], Script::new().success());
        spec.kind = kind;
        spec.created = neighbour.map(|(_, created_ms)| created_ms.div_euclid(1000));
        spec.is_dcdn = is_dcdn;
        self.add_ranked(spec, rank);
    }
}
