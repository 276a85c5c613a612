//! ucdn-watch watches UCloud CDN refresh tasks and reports every transition to its log and to webhooks.
//!
//! This page is the architecture: how data flows, which room owns what, and what the state promises. The library holds
//! everything; the program (`src/main.rs`) calls [`cli::main`] and turns its answer into an exit code.
//!
//! # The way data flows
//!
//! ```text
//! watch  ── when ──▶  poll  ── asks ──▶  ucdn::walk ── pages ──▶ ucdn::client ──▶ the API
//!                       │                    │
//!                       │        tasks seen, page by page
//!                       ▼                    ▼
//!                     diff  (stored task, seen task) ─▶ changes          pure
//!                       ▼
//!                     event  changes ─▶ events                           pure
//!                       ▼
//!                     store  one transaction: tasks + events + what each webhook is owed
//!                       ▼
//!                     deliver  one thread a webhook drains what it is owed, in order
//! ```
//!
//! One direction, no step back. [`poll`] never sends, and [`deliver`] never looks at the API; they meet only in the
//! [`store`]. So a dead webhook can't delay a poll, and a crash between them loses nothing. Each page is committed when it
//! is read: memory stays at one page, and what page 1 showed is kept if page 2 fails. Nothing about tasks is kept in
//! memory between polls: the store is the snapshot, so no cache goes stale and a restart is no special case.
//!
//! What a poll costs follows what changed. A task that comes in the very text that it was last learned from is known by that
//! text's length and hash before anything of it is read; of others that come in known words no URL is parsed. No row is read
//! of either, and a page of them writes nothing. Between whole readings a poll asks for what
//! one page shows of the list's newest part, and for older tasks in flight by their ids.
//!
//! Conclusions from absence need the whole list. A walk returns a [`ucdn::walk::CompleteWalk`] at its end and only there,
//! and what concludes absence takes one as an argument: a half-read list can't be used by mistake.
//!
//! # Rooms
//!
//! Arrows point down: a row may use the rows below it, never those above. `tests/it/architecture.rs` holds this.
//!
//! | layer | module | owns | may not |
//! |---|---|---|---|
//! | rim | [`crate::cli`] | arguments, wiring, tables, exit codes | decide anything |
//! | daemon | [`crate::daemon`] | threads, when to poll, signals, reload, stop | know HTTP, JSON, SQL |
//! | | [`crate::web`], [`crate::metrics`], [`crate::heartbeat`], [`crate::systemd`], [`crate::logging`] | one outside listener each | know each other |
//! | work | [`crate::poll`] | one poll of one target: walk, diff, commit | send anything |
//! | | [`crate::deliver`] | draining one webhook's queue | ask the API |
//! | edges | [`crate::ucdn`] | the vendor's API: calls, pages, what an error means | know disk or webhooks |
//! | | [`crate::store`] | the only place with SQL: snapshot, events, outbox, lock, migrations | decide what a change means |
//! | | [`crate::http`] | the only place that names ureq: time limits, size caps, proxies, redaction | try again, know JSON |
//! | | [`crate::config`], [`crate::secret`] | file and environment to a valid [`config::Config`]; the only reader of both | connect to what it names |
//! | | [`crate::clock`] | the only `now`, and the only waiting; a stop cuts it short | |
//! | rules | [`crate::domain::diff`], [`crate::domain::event`], [`crate::domain::schedule`], [`crate::ucdn::sign`], [`crate::ucdn::wire`] | pure functions; `wire` holds all leniency toward the API's JSON | see clock, disk, network, chance |
//! | words | [`crate::domain::model`] | task, URL, status, window: what we talk about | use anything |
//! | | [`crate::domain::text`], [`crate::domain::text`], [`crate::domain::text`] | an error and its causes as one line; text from outside, made fit to be shown; times as people say them | use anything else |
//! | | [`crate::domain::incident`] | a fault that lasts: its beginning, changes and end | use anything |
//! | beside | the crate `ucdn-simulator` (feature `simulator`, on by default) | the stand-in API; it shares no type with this library | be used by any of these but `cli` |
//!
//! # What the state promises
//!
//! A transition and what each webhook is owed for it are one atomic, durable [`store::Commit`]. A crash at any instant
//! leaves either all of it or nothing: if nothing, the next poll sees the same transition again and reports it for the
//! first time; if all, the couriers find it owed. An event's id and its bytes are settled by that commit, so a delivery
//! that was made but not yet noted is made again as the very same one: at least once, and recognizable. The contract of
//! [`store::Store`] says it method by method: what is atomic, what is durable, in which order rows come.
//!
//! With several instances on one state ([`store::postgres`](crate::store), a feature) each target is held by one of them:
//! [`store::Store::renew_leases`] says which are ours, and what is not ours is neither polled nor delivered nor written.
//!
//! # Threads
//!
//! Blocking throughout, no async runtime. [`daemon`] runs a bounded pool for polls (a target never overlaps itself) and a
//! thread for each webhook, and one each for the HTTP listener, the textfile and the heartbeat, if they are asked for. All of them wait at one primitive of [`clock`], never in a bare sleep, so that one stop ends
//! every wait. Wall time goes to the API and into events alone; scheduling uses the monotonic clock.

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
