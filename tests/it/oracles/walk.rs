//! Oracle for walks: pages split anywhere, limits clamped or ignored, a list that changes between pages. A walk sees each task that
//! stays in the list, reads an unchanging list whole with few requests, gives no task another task's URLs, and ends.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use ucdn_watch::domain::model::{Status, Task, TaskId, Timestamp, Url};
use ucdn_watch::ucdn::response::{ListResponse, ListedTask, TaskListField};
use ucdn_watch::ucdn::walk::{NextStep, PageRequest, Paging, Walk, WalkError};

#[path = "../../../src/ucdn/response/tests/render.rs"]
mod render;
#[path = "../../../src/ucdn/walk/tests/server.rs"]
mod server;
#[path = "../../../src/ucdn/walk/tests/walked.rs"]
mod walked;

use render::render;
use server::{CountedIn, Form, Move, Server, Total};
use walked::{entries, missed, walk};

#[derive(Debug, Arbitrary)]
struct Case {
    page_size: u8,
    unit: Counting,
    clamp: Option<u8>,
    total: Totalling,
    motion: Motion,
    /// (request, index): before this request, the list changes at this index.
    moves: Vec<(u8, u8)>,
    /// How many URLs each task has.
    urls: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Counting {
    Tasks,
    Urls,
    TasksWithoutLimit,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Totalling {
    Tasks,
    Urls,
    Page,
    Absent,
    Nonsense(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Arbitrary)]
enum Motion {
    None,
    Grows,
    Shrinks,
    Both,
}

pub(crate) fn check(input: &[u8]) {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else {
        return;
    };
    let server = case.server();
    if case.motion == Motion::None {
        check_still(server, case.page_size());
    } else {
        check_moving(server, case.page_size(), case.motion);
    }
}

impl Case {
    fn page_size(&self) -> u32 {
        let page_size = 1 + u32::from(self.page_size) % 12;
        self.at_least_two_tasks_a_page(page_size, 4)
    }

    fn server(&self) -> Server {
        let counts = self.urls.iter().take(40);
        let counts: Vec<usize> = counts
            .map(|urls| 1 + usize::from(*urls) % self.most_urls())
            .collect();
        let unit = match self.unit {
            Counting::Tasks => CountedIn::Tasks,
            Counting::Urls => CountedIn::Urls,
            Counting::TasksWithoutLimit => CountedIn::TasksWithoutLimit,
        };
        let mut server = Server::new(&counts, unit);
        server.total = match self.total {
            Totalling::Tasks => Total::Tasks,
            Totalling::Urls => Total::Urls,
            Totalling::Page => Total::Page,
            Totalling::Absent => Total::Absent,
            Totalling::Nonsense(total) => Total::Nonsense(total.into()),
        };
        let clamp = self.clamp.map(|clamp| 1 + u64::from(clamp) % 9);
        server.clamp = clamp.map(|clamp| self.at_least_two_tasks_a_page(clamp, 4));
        server.moves = self.moves();
        server
    }

    /// If the only task of a page is removed and the next page is empty, the walk can't tell that from the list's end. The next poll
    /// sees the rest.
    fn at_least_two_tasks_a_page<N: Ord>(&self, length: N, least: N) -> N {
        match self.motion {
            Motion::Shrinks => length.max(least),
            Motion::None | Motion::Grows | Motion::Both => length,
        }
    }

    fn most_urls(&self) -> usize {
        match self.motion {
            Motion::Shrinks => 2,
            Motion::None | Motion::Grows | Motion::Both => 6,
        }
    }

    fn moves(&self) -> BTreeMap<usize, Move> {
        let moves = self.moves.iter().take(25);
        let moves = moves.filter_map(|(request, place)| {
            let step = match self.motion {
                Motion::None => return None,
                Motion::Grows => Move::Insert(usize::from(*place)),
                Motion::Shrinks => Move::Remove(usize::from(*place)),
                Motion::Both if place % 2 == 0 => Move::Insert(usize::from(place / 2)),
                Motion::Both => Move::Remove(usize::from(place / 2)),
            };
            Some((usize::from(request % 60), step))
        });
        moves.collect()
    }
}

fn check_still(mut server: Server, page_size: u32) {
    let mut paging = Paging::default();
    for poll in 0..3 {
        let mut read = server.clone();
        read.form = Form::Read;
        let read = walk(&mut read, page_size, paging).unwrap();
        let walked = walk(&mut server, page_size, paging).unwrap();
        assert_eq!(walked.entries(), entries(&server.tasks), "poll {poll}");
        assert_eq!(walked.entries(), read.entries());
        assert_eq!(
            (walked.requests, walked.paging),
            (read.requests, read.paging)
        );
        assert_eq!(walked.first_shown_in_part(&server), []);
        // If a step always ends between two tasks, no page shows the unit of `Offset`.
        let bound = 2 * server.fair_requests();
        assert!(walked.requests <= bound, "page_size {page_size} {server:?}");
        paging = walked.paging;
    }
}

/// A removal and an insert between two pages can leave both pages as they were, which no walk can notice.
fn check_moving(mut server: Server, page_size: u32, motion: Motion) {
    if motion == Motion::Both {
        if let Ok(walked) = walk(&mut server, page_size, Paging::default()) {
            let is_its_own = |(id, url): &(String, String)| url.contains(&format!("/{id}/"));
            assert!(walked.entries().iter().all(is_its_own), "{walked:?}");
        }
        return;
    }
    server.clamp = server.clamp.map(|clamp| clamp + 2);
    let before = format!("page_size {page_size} {server:?}");
    assert_eq!(missed(&mut server, page_size), [], "{before}");
}
