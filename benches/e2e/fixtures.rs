//! Fixture: a long task list as the API writes it, rendered once. Pages are slices of it.

use std::io::Write as _;
use std::ops::Range;

/// Creation times spread evenly over this span. The newest task is one minute old.
const SPAN_SECONDS: usize = 20 * 3600;

/// The list, newest first. Page bodies are slices of one text, so that serving a page costs a copy.
#[derive(Debug)]
pub(crate) struct TaskList {
    text: Vec<u8>,
    /// End of each task's text. A comma follows.
    ends: Vec<usize>,
    created: Vec<i64>,
    urls: usize,
    /// Which tasks failed. None at first.
    failed: Vec<bool>,
}

/// The filters of a list request.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListQuery {
    pub(crate) offset: usize,
    limit: Option<usize>,
    begin: Option<i64>,
    end: Option<i64>,
    ids: Vec<String>,
}

impl ListQuery {
    /// Reads a request's form.
    pub(crate) fn read(form: &[u8]) -> Self {
        let mut question = Self::default();
        for (key, value) in form_urlencoded::parse(form) {
            match &*key {
                "Offset" => question.offset = value.parse().unwrap_or(0),
                "Limit" => question.limit = value.parse().ok(),
                "BeginTime" => question.begin = value.parse().ok(),
                "EndTime" => question.end = value.parse().ok(),
                key if key.starts_with("TaskId.") => question.ids.push(value.into_owned()),
                _ => {}
            }
        }
        question
    }
}

impl TaskList {
    /// `tasks` tasks in status success with `urls` URLs each.
    pub(crate) fn new(tasks: usize, urls: usize, now: i64) -> Self {
        let created =
            |index: usize| now - 60 - i64::try_from(index * SPAN_SECONDS / tasks).unwrap();
        let mut list = Self {
            text: Vec::new(),
            ends: Vec::with_capacity(tasks),
            created: (0..tasks).map(created).collect(),
            urls,
            failed: vec![false; tasks],
        };
        for index in 0..tasks {
            let text = list.written(index);
            list.text.extend(text);
            list.ends.push(list.text.len());
            list.text.push(b',');
        }
        list
    }

    /// Toggles every `every`th task and its first URL between success and failure.
    pub(crate) fn change(&mut self, every: usize) {
        for index in (0..self.ends.len()).step_by(every) {
            self.failed[index] = !self.failed[index];
            let text = self.written(index);
            let range = self.text_range(index..index + 1);
            // Both words have seven letters, so the text keeps its length.
            self.text[range].copy_from_slice(&text);
        }
    }

    /// Appends the answer's body.
    pub(crate) fn answer(&self, question: &ListQuery, body: &mut Vec<u8>) {
        body.extend(
            br#"{"Action":"DescribeNewUcdnRefreshCacheTaskResponse","RetCode":0,"TaskList":["#,
        );
        let total = if question.ids.is_empty() {
            let listed = self.listed(question);
            let first = (listed.start + question.offset).min(listed.end);
            let left = listed.end - first;
            let page = first..first + question.limit.unwrap_or(left).min(left);
            body.extend(&self.text[self.text_range(page)]);
            listed.len()
        } else {
            let found = question.ids.iter().filter_map(|id| self.index_of(id));
            let found: Vec<&[u8]> = found
                .map(|it| &self.text[self.text_range(it..it + 1)])
                .collect();
            body.extend(found.join(&b','));
            found.len()
        };
        write!(body, r#"],"TotalCount":{total}}}"#).unwrap();
    }

    /// Indexes of the tasks inside the window.
    fn listed(&self, question: &ListQuery) -> Range<usize> {
        let end = question.end.unwrap_or(i64::MAX);
        let begin = question.begin.unwrap_or(i64::MIN);
        let first = self.created.partition_point(|it| *it > end);
        first..self.created.partition_point(|it| *it >= begin).max(first)
    }

    /// Where the text of these tasks stands.
    fn text_range(&self, tasks: Range<usize>) -> Range<usize> {
        let start = |index: usize| {
            index
                .checked_sub(1)
                .map_or(0, |before| self.ends[before] + 1)
        };
        if tasks.is_empty() {
            return 0..0;
        }
        start(tasks.start)..self.ends[tasks.end - 1]
    }

    fn index_of(&self, id: &str) -> Option<usize> {
        let number = usize::from_str_radix(id.split_once('_')?.1, 16).ok()?;
        self.ends.len().checked_sub(number + 1)
    }

    fn written(&self, index: usize) -> Vec<u8> {
        let created = self.created[index];
        let (task, number) = (self.id(index), self.failed.len() - 1 - index);
        let finished = created + 42;
        let status = if self.failed[index] {
            "failure"
        } else {
            "success"
        };
        let mut text = Vec::new();
        write!(
            text,
            r#"{{"CreateTime":{created},"Status":"{status}","TaskId":"{task}","Type":"file","UrlLists":["#
        )
        .unwrap();
        for url in 0..self.urls {
            let comma = if url > 0 { "," } else { "" };
            let status = if url > 0 { "success" } else { status };
            write!(
                text,
                r#"{comma}{{"CreateTime":{created},"FinishTime":{finished},"Progress":100,"Status":"{status}","Url":"http://img.example.com/catalogue/{number:07}/view-{url}.jpg"}}"#
            )
            .unwrap();
        }
        text.extend(b"]}");
        text
    }

    /// In the vendor's form: the creation time, then a hexadecimal number that counts from the oldest task.
    fn id(&self, index: usize) -> String {
        let seconds = u64::try_from(self.created[index]).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let time = humantime::format_rfc3339_seconds(time).to_string();
        let digits: String = time.chars().filter(char::is_ascii_digit).collect();
        format!("{digits}_{:08x}", self.failed.len() - 1 - index)
    }
}
