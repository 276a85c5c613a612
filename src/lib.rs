//! ucdn-watch watches UCloud CDN refresh tasks and reports every transition to its log and to webhooks.
//!
//! The library holds everything. The program (`src/main.rs`) calls [`cli::main`] and returns its exit code.
//!
//! # How data flows
//!
//! ```text
//! daemon  ── due ──▶  poll  ── asks ──▶  ucdn::walk ── page requests ──▶ ucdn::client ──▶ the API
//!                       │                    │
//!                       │          tasks, page by page
//!                       ▼                    ▼
//!                     diff   (stored task, observed task) → change            pure
//!                       ▼
//!                     event  change → event                                   pure
//!                       ▼
//!                     store  one transaction: tasks + events + outbox rows
//!                       ▼
//!                     deliver  one worker per receiver drains its outbox rows in order
//! ```
//!
//! Data moves one way. [`poll`] never sends anything and [`deliver`] never calls the list API; they meet only in the
//! [`store`]. A dead receiver therefore cannot delay a poll, and a crash between the two loses nothing. Each page is
//! committed as it is read, so memory stays at one page, and page 1 survives a failure of page 2. No task is cached
//! between polls: the store is the snapshot.
//!
//! Two ideas carry the correctness of the program:
//!
//! - **Transactional outbox.** A transition and the deliveries it causes are one commit ([`store::Commit`]). Event ids
//!   and bytes are fixed by that commit. After a crash, either all of it is there or none: if none, the next poll sees
//!   the same transition and reports it for the first time. A delivery that was made but not recorded is made again
//!   with the same id and bytes.
//! - **Proof of completeness.** Only a finished walk returns a [`ucdn::walk::CompleteWalk`], and whatever concludes
//!   something from a task's *absence* takes one as an argument.
//!
//! # Layers
//!
//! A module uses modules of its own layer or of a lower one, never of a higher one. `tests/it/architecture.rs` reads
//! this table and fails on an import against it. The stand-in for the vendor's API is a crate of its own,
//! `crates/ucdn-simulator`: it shares no type with the program, because a stand-in must not check the client with the
//! client's own code.
//!
//! | layer | module | what it does | must not use |
//! |---|---|---|---|
//! | command line | [`cli`] | one file per command: arguments, output, exit codes | |
//! | daemon | [`daemon`] | scheduling, worker threads, leases, signals, reload, shutdown, `--once` | [`http`] |
//! | outside | [`web`] | HTTP listener: pages, JSON API, health, metrics endpoint | [`metrics`], [`heartbeat`], [`systemd`], [`logging`] |
//! | | [`metrics`] | Prometheus registry, textfile | [`web`], [`heartbeat`], [`systemd`], [`logging`] |
//! | | [`heartbeat`] | pings a URL after each round of good polls | [`web`], [`metrics`], [`systemd`], [`logging`] |
//! | | [`systemd`] | readiness, status and watchdog messages to systemd | [`web`], [`metrics`], [`heartbeat`], [`logging`] |
//! | | [`logging`] | log lines as text, JSON or for journald | [`web`], [`metrics`], [`heartbeat`], [`systemd`] |
//! | work | [`poll`] | one poll of one target: walk, diff, commit | [`deliver`], [`formats`] |
//! | | [`deliver`] | delivery workers: retry, batching, acknowledgement | [`poll`], [`ucdn`] |
//! | | [`formats`] | what a receiver gets: one file per format, shared message texts | [`poll`], [`ucdn`], [`store`] |
//! | edges | [`ucdn`] | the vendor's API: client, errors, the paged walk | [`store`] |
//! | | [`store`] | the only SQL: snapshot, events, outbox, leases | [`ucdn`], [`http`] |
//! | | [`http`] | the only user of ureq: time limits, size limits, proxies, redaction | |
//! | | [`config`], [`secret`] | TOML and environment to a valid [`config::Config`] | [`ucdn`] |
//! | | [`clock`] | the only `now` and the only waiting; a stop ends every wait | |
//! | pure | [`domain`] | tasks, diff, events, schedules, texts: no I/O, no clock, no randomness | |
//! | | [`ucdn::sign`], [`ucdn::response`] | request signatures; lenient reading of the API's JSON | |
//!
//! # Threads
//!
//! The core is blocking. [`daemon`] runs a bounded number of polls at a time (a target never overlaps itself), one
//! thread per receiver, and one each for the HTTP listener, the textfile and the heartbeat where the config has them.
//! Async code lives in two rooms only: `web` and `store::postgres`. Every wait goes through [`clock`], so that one
//! [`clock::CancelToken`] ends all of them. Monotonic time schedules; wall time only goes to the API and into events.

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod deliver;
pub mod domain;
pub mod formats;
pub mod heartbeat;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod poll;
pub mod secret;
pub mod store;
pub mod systemd;
pub mod ucdn;
pub mod web;
