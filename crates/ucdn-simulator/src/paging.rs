//! Selects, orders and pages the tasks of a list request.

use std::cmp::Reverse;
use std::ops::Range;

use super::options::{
    DcdnRule, Edge, LimitRule, MaxWindow, Options, Order, Retention, TaskIdRule, Unit, WindowField,
};
use super::parameters::ListQuery;
use super::tasks::{SimulatedTask, Slice, TaskKind};

/// The window of a request without `BeginTime` and `EndTime`.
const DEFAULT_WINDOW_SECONDS: i64 = 86_400;

/// All tasks that match the query, in the order of the list.
pub(crate) fn selected<'a>(
    tasks: &'a [SimulatedTask],
    kind: TaskKind,
    query: &ListQuery,
    options: &Options,
    now_ms: i64,
) -> Vec<&'a SimulatedTask> {
    let mut found: Vec<&SimulatedTask> = tasks
        .iter()
        .filter(|task| task.kind == kind && task.listed_from_ms <= now_ms)
        .filter(|task| matches(task, query, options, now_ms))
        .collect();
    match options.order {
        Order::Newest => found.sort_by_key(|task| Reverse((task.created_ms, task.rank))),
        Order::Oldest => found.sort_by_key(|task| (task.created_ms, task.rank)),
        Order::Finish => found.sort_by_key(|task| {
            let finished_ms = task.finished_ms(now_ms).unwrap_or(i64::MAX);
            Reverse((finished_ms, task.created_ms, task.rank))
        }),
    }
    found
}

fn matches(task: &SimulatedTask, query: &ListQuery, options: &Options, now_ms: i64) -> bool {
    let by_id = !query.task_ids.is_empty() && options.task_id != TaskIdRule::Ignored;
    let dcdn = match options.dcdn {
        DcdnRule::Ignored => true,
        DcdnRule::Separate => task.is_dcdn == query.is_dcdn,
        DcdnRule::Overlapping => query.is_dcdn || !task.is_dcdn,
    };
    dcdn && (!by_id || query.task_ids.contains(&task.id))
        && (task.project_id.is_none() || task.project_id == query.project_id)
        && query
            .status
            .as_deref()
            .is_none_or(|status| status == task.status(now_ms))
        && is_kept(task, options, now_ms)
        && (by_id && options.task_id == TaskIdRule::OverridesWindow
            || is_within(task, query, options, now_ms))
}

fn is_kept(task: &SimulatedTask, options: &Options, now_ms: i64) -> bool {
    match options.keep {
        Retention::Forever => true,
        Retention::Seconds(seconds) => {
            let kept_ms = seconds.saturating_mul(1000);
            task.created_ms.saturating_add_unsigned(kept_ms) >= now_ms
        }
    }
}

/// The window that is searched, in unix seconds.
pub(crate) fn window(query: &ListQuery, options: &Options, now_ms: i64) -> (i64, i64) {
    let end = query.end.unwrap_or(now_ms.div_euclid(1000));
    let begin = query
        .begin
        .unwrap_or(end.saturating_sub(DEFAULT_WINDOW_SECONDS));
    match options.max_window {
        MaxWindow::Cut(seconds) => (begin.max(end.saturating_sub_unsigned(seconds)), end),
        MaxWindow::Unlimited | MaxWindow::Refuse(_) => (begin, end),
    }
}

fn is_within(task: &SimulatedTask, query: &ListQuery, options: &Options, now_ms: i64) -> bool {
    let (begin, end) = window(query, options, now_ms);
    let time_ms = match options.window_field {
        WindowField::Created => task.created_ms,
        WindowField::Finished => task.finished_ms(now_ms).unwrap_or(task.created_ms),
    };
    let time = time_ms.div_euclid(1000);
    let after_begin = match options.window_begin {
        Edge::Inclusive => begin <= time,
        Edge::Exclusive => begin < time,
    };
    after_begin
        && match options.window_end {
            Edge::Inclusive => time <= end,
            Edge::Exclusive => time < end,
        }
}

/// The page that `Offset` and `Limit` select.
pub(crate) fn page<'a>(
    selected: &[&'a SimulatedTask],
    query: &ListQuery,
    options: &Options,
) -> Vec<Slice<'a>> {
    let asked = query.limit.unwrap_or(usize::MAX);
    let limit = match options.limit {
        LimitRule::Honoured => asked,
        LimitRule::Ignored => usize::MAX,
        LimitRule::Clamped(most) => asked.min(most),
    };
    let wanted = query.offset..query.offset.saturating_add(limit);
    match options.unit {
        Unit::Tasks => selected
            .iter()
            .skip(wanted.start)
            .take(limit)
            .map(|task| Slice {
                task,
                urls: 0..task.urls.len(),
            })
            .collect(),
        Unit::Urls => cut_by_urls(selected, &wanted),
    }
}

fn cut_by_urls<'a>(selected: &[&'a SimulatedTask], wanted: &Range<usize>) -> Vec<Slice<'a>> {
    let mut slices = Vec::new();
    let mut start = 0_usize;
    for task in selected {
        let end = start + task.urls.len().max(1);
        let shown = wanted.start.max(start)..wanted.end.min(end);
        if shown.start < shown.end {
            let urls = shown.start - start..(shown.end - start).min(task.urls.len());
            slices.push(Slice { task, urls });
        }
        start = end;
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::tasks::TaskSpec;

    /// Five tasks with 3, 0, 1, 2 and 4 URLs, created in the seconds 100 to 104.
    fn tasks() -> Vec<SimulatedTask> {
        (0_i64..)
            .zip([3_usize, 0, 1, 2, 4])
            .map(|(index, urls)| {
                let urls: Vec<String> = (0..urls).map(|url| format!("{index}/{url}")).collect();
                let script = Script::new().success();
                let spec = TaskSpec::new(urls.iter().map(String::as_str), script);
                SimulatedTask::new(index.to_string(), index, (100 + index) * 1000, spec)
            })
            .collect()
    }

    fn list(tasks: &[SimulatedTask], query: &ListQuery, options: &Options) -> Vec<String> {
        selected(tasks, TaskKind::Refresh, query, options, 200_000)
            .into_iter()
            .map(|task| task.id.clone())
            .collect()
    }

    fn pages(options: &Options, limit: usize, total: usize) -> Vec<(String, Range<usize>)> {
        let tasks = tasks();
        let all = selected(
            &tasks,
            TaskKind::Refresh,
            &ListQuery::default(),
            options,
            200_000,
        );
        let mut seen = Vec::new();
        for offset in (0..total).step_by(limit) {
            let limit = Some(limit);
            let query = ListQuery {
                offset,
                limit,
                ..ListQuery::default()
            };
            let page = page(&all, &query, options);
            seen.extend(page.into_iter().map(|cut| (cut.task.id.clone(), cut.urls)));
        }
        seen
    }

    #[test]
    fn every_page_size_by_tasks_shows_each_task_once_and_whole() {
        for limit in 1..8 {
            let seen = pages(&Options::default(), limit, 5);
            let expected = [
                ("4", 0..4),
                ("3", 0..2),
                ("2", 0..1),
                ("1", 0..0),
                ("0", 0..3),
            ];
            assert_eq!(seen, expected.map(|(id, urls)| (id.to_owned(), urls)));
        }
    }

    #[test]
    fn every_page_size_by_urls_shows_each_url_once() {
        let options = Options {
            unit: Unit::Urls,
            ..Options::default()
        };
        for limit in 1..13 {
            let seen = pages(&options, limit, 11);
            for (id, count) in [("0", 3), ("1", 0), ("2", 1), ("3", 2), ("4", 4)] {
                let urls: Vec<usize> = seen
                    .iter()
                    .filter(|(seen, _)| seen == id)
                    .flat_map(|(_, urls)| urls.clone())
                    .collect();
                assert_eq!(urls, (0..count).collect::<Vec<_>>(), "limit {limit}");
            }
            assert!(
                seen.iter().any(|(id, _)| id == "1"),
                "without URLs, but there"
            );
        }
    }

    #[test]
    fn the_end_of_a_page_splits_a_task_only_if_urls_are_counted() {
        let options = Options {
            unit: Unit::Urls,
            ..Options::default()
        };
        assert_eq!(
            pages(&options, 5, 5),
            [("4".to_owned(), 0..4), ("3".to_owned(), 0..1)]
        );
    }

    #[test]
    fn limits_can_be_clamped_or_ignored() {
        let clamped = Options {
            limit: LimitRule::Clamped(2),
            ..Options::default()
        };
        assert_eq!(pages(&clamped, 5, 5).len(), 2);
        let ignored = Options {
            limit: LimitRule::Ignored,
            ..Options::default()
        };
        assert_eq!(pages(&ignored, 1, 1).len(), 5);
    }

    #[test]
    fn the_ends_of_the_window_can_be_exclusive() {
        let query = ListQuery {
            begin: Some(101),
            end: Some(103),
            ..ListQuery::default()
        };
        let mut options = Options::default();
        assert_eq!(list(&tasks(), &query, &options), ["3", "2", "1"]);
        options.window_begin = Edge::Exclusive;
        assert_eq!(list(&tasks(), &query, &options), ["3", "2"]);
        options.window_end = Edge::Exclusive;
        options.order = Order::Oldest;
        assert_eq!(list(&tasks(), &query, &options), ["2"]);
    }

    #[test]
    fn a_task_id_can_override_the_window() {
        let query = ListQuery {
            begin: Some(103),
            end: Some(104),
            task_ids: vec!["0".to_owned(), "no such".to_owned()],
            ..ListQuery::default()
        };
        let mut options = Options::default();
        assert_eq!(list(&tasks(), &query, &options), ["0"]);
        options.task_id = TaskIdRule::WithinWindow;
        assert!(list(&tasks(), &query, &options).is_empty());
    }

    #[test]
    fn whole_site_tasks_are_listed_apart_or_with_the_others() {
        let mut tasks = tasks();
        tasks.truncate(2);
        tasks[0].is_dcdn = true;
        let ask = |is_dcdn, dcdn| {
            let query = ListQuery {
                is_dcdn,
                ..ListQuery::default()
            };
            let options = Options {
                dcdn,
                ..Options::default()
            };
            list(&tasks, &query, &options)
        };
        assert_eq!(ask(true, DcdnRule::Separate), ["0"]);
        assert_eq!(ask(false, DcdnRule::Separate), ["1"]);
        assert_eq!(ask(true, DcdnRule::Overlapping), ["1", "0"]);
        assert_eq!(ask(false, DcdnRule::Ignored), ["1", "0"]);
    }

    #[test]
    fn window_and_order_can_use_the_finish_time() {
        let late = Script::new()
            .wait(std::time::Duration::from_secs(50))
            .success();
        let mut tasks = tasks();
        let spec = TaskSpec::new(["late"], late);
        tasks.push(SimulatedTask::new("late".to_owned(), 9, 99_000, spec));
        let query = ListQuery {
            begin: Some(103),
            end: Some(200),
            ..ListQuery::default()
        };
        let mut options = Options::default();
        assert_eq!(list(&tasks, &query, &options), ["4", "3"]);
        options.window_field = WindowField::Finished;
        assert_eq!(list(&tasks, &query, &options), ["4", "3", "late"]);
        options.order = Order::Finish;
        assert_eq!(list(&tasks, &query, &options), ["late", "4", "3"]);
    }

    #[test]
    fn old_tasks_can_be_cut_off_or_forgotten() {
        let query = ListQuery {
            begin: Some(0),
            end: Some(104),
            ..ListQuery::default()
        };
        let mut options = Options {
            max_window: MaxWindow::Cut(1),
            ..Options::default()
        };
        assert_eq!(list(&tasks(), &query, &options), ["4", "3"]);
        options.max_window = MaxWindow::Unlimited;
        options.keep = Retention::Seconds(96);
        assert_eq!(list(&tasks(), &query, &options), ["4"]);
    }
}
