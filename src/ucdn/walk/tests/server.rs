//! In-memory list server with configurable paging semantics. The fuzz targets include this file too, so it imports from `super`.

use std::collections::BTreeMap;

use super::{
    ListResponse, ListedTask, PageRequest, Status, Task, TaskId, TaskListField, Url, render,
};

/// A server with one paging semantics, and a list that may change.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) tasks: Vec<Task>,
    pub(super) unit: CountedIn,
    pub(super) clamp: Option<u64>,
    pub(super) total: Total,
    /// Changes of the list, by the number of the request that they precede.
    pub(super) moves: BTreeMap<usize, Move>,
    pub(super) requests: usize,
    pub(super) form: Form,
    inserted: usize,
    /// The longest page so far, in the server's unit.
    longest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CountedIn {
    Tasks,
    Urls,
    /// `Limit` is ignored.
    TasksWithoutLimit,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Total {
    Tasks,
    Urls,
    Page,
    Absent,
    Nonsense(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    Insert(usize),
    Remove(usize),
}

/// How the walk gets the tasks of a page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Parsed from a response body.
    Text,
    /// Built directly.
    Read,
}

impl Form {
    fn list(self, tasks: Vec<Task>) -> Vec<ListedTask> {
        match self {
            Self::Read => tasks.into_iter().map(ListedTask::from).collect(),
            Self::Text => {
                let body = render(&tasks);
                ListResponse::parse(body.into_bytes()).unwrap().tasks
            }
        }
    }
}

pub(super) fn task(id: String, urls: usize) -> Task {
    Task {
        r#type: None,
        status: Some(Status::Process),
        created: None,
        urls: (0..urls)
            .map(|n| Url {
                url: format!("http://example.com/{id}/{n}"),
                status: Some(Status::Process),
                progress: None,
                finished: None,
            })
            .collect(),
        id: TaskId(id),
    }
}

impl Server {
    pub(super) fn new(url_counts: &[usize], unit: CountedIn) -> Self {
        Self {
            tasks: url_counts
                .iter()
                .enumerate()
                .map(|(n, urls)| task(format!("t{n}"), *urls))
                .collect(),
            unit,
            clamp: None,
            total: Total::Absent,
            moves: BTreeMap::new(),
            requests: 0,
            form: Form::Text,
            inserted: 0,
            longest: 0,
        }
    }

    pub(super) fn answer(&mut self, ask: PageRequest) -> ListResponse {
        match self.moves.get(&self.requests) {
            Some(Move::Insert(place)) => {
                let place = *place % (self.tasks.len() + 1);
                self.tasks.insert(
                    place,
                    task(format!("new{}", self.inserted), 1 + self.inserted % 3),
                );
                self.inserted += 1;
            }
            Some(Move::Remove(place)) if !self.tasks.is_empty() => {
                self.tasks.remove(*place % self.tasks.len());
            }
            _ => {}
        }
        self.requests += 1;
        let limit = self.clamp.map_or(ask.limit, |clamp| clamp.min(ask.limit));
        let limit = usize::try_from(limit).unwrap();
        let offset = usize::try_from(ask.offset).unwrap();
        let tasks: Vec<Task> = match self.unit {
            CountedIn::TasksWithoutLimit => self.tasks.iter().skip(offset).cloned().collect(),
            CountedIn::Tasks => self
                .tasks
                .iter()
                .skip(offset)
                .take(limit)
                .cloned()
                .collect(),
            CountedIn::Urls => self.cut_by_urls(offset, limit),
        };
        let urls = |tasks: &[Task]| tasks.iter().map(|task| task.urls.len() as u64).sum::<u64>();
        self.longest = self.longest.max(match self.unit {
            CountedIn::Urls => urls(&tasks),
            _ => tasks.len() as u64,
        });
        let total_count = match self.total {
            Total::Tasks => Some(self.tasks.len() as u64),
            Total::Urls => Some(urls(&self.tasks)),
            Total::Page => Some(tasks.len() as u64),
            Total::Absent => None,
            Total::Nonsense(total) => Some(total),
        };
        ListResponse {
            tasks: self.form.list(tasks),
            total_count,
            list: TaskListField::Present,
        }
    }

    fn cut_by_urls(&self, offset: usize, limit: usize) -> Vec<Task> {
        let mut page: Vec<Task> = Vec::new();
        let rows = self
            .tasks
            .iter()
            .flat_map(|task| task.urls.iter().map(move |url| (task, url)));
        for (task, url) in rows.skip(offset).take(limit) {
            match page.last_mut().filter(|last| last.id == task.id) {
                Some(last) => last.urls.push(url.clone()),
                None => page.push(Task {
                    urls: vec![url.clone()],
                    ..task.clone()
                }),
            }
        }
        page
    }

    /// How many full pages the list has.
    fn full_pages(&self) -> u64 {
        let entries = match self.unit {
            CountedIn::Urls => self.tasks.iter().map(|task| task.urls.len() as u64).sum(),
            _ => self.tasks.len() as u64,
        };
        entries.div_ceil(self.longest.max(1)).max(1)
    }

    /// How many requests a walk over an unchanging list may take.
    pub(super) fn fair_requests(&self) -> usize {
        match self.full_pages() {
            1 => 2,
            pages => usize::try_from(2 * pages + 5).unwrap(),
        }
    }
}
