//! Log queue: threads that log never wait for stderr. One thread writes the lines; if nothing reads stderr, lines are dropped and
//! counted.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{CancelToken, Notify, Woken};

/// Bytes of lines that wait to be written. Further lines are dropped.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;

/// A queue of log lines and the thread that writes them.
#[derive(Clone, Debug)]
pub(super) struct LogQueue {
    waiting: Arc<Mutex<Waiting>>,
    /// Wakes the thread that writes.
    filled: Notify,
    /// Wakes [`LogQueue::flush`].
    written: Notify,
}

/// What is not written yet.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that were dropped since the thread last took the queue.
    dropped: u64,
    /// Whether the thread is writing what it took.
    is_writing: bool,
}

impl LogQueue {
    /// Starts the thread that writes to `output`. `dropped_line` is the line that reports how many lines were dropped.
    pub(super) fn start(
        mut output: impl Write + Send + 'static,
        dropped_line: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Self {
            waiting: Arc::default(),
            filled: Notify::new(&CancelToken::default()),
            written: Notify::new(&CancelToken::default()),
        };
        let own = queue.clone();
        Builder::new().name("log".to_owned()).spawn(move || {
            while own.filled.wait(None) != Woken::Stopped {
                while let Some((lines, dropped)) = own.take() {
                    // There is no better place to report that stderr can't be written.
                    let _ = output.write_all(&lines);
                    if dropped > 0 {
                        let _ = writeln!(output, "{}", dropped_line(dropped));
                    }
                }
                own.written.notify();
            }
        })?;
        Ok(queue)
    }

    /// Adds a line with its line break, or drops it if the queue is full. Never waits for the output.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.dropped == 0 && waiting.lines.len() + line.len() <= MAX_QUEUED_BYTES {
            waiting.lines.extend_from_slice(line);
        } else {
            waiting.dropped += 1;
        }
        drop(waiting);
        self.filled.notify();
    }

    /// Waits until all lines are written, for at most about `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        while !self.waiting.lock().is_empty() {
            if self.written.wait(Some(timeout)) != Woken::Notified {
                return;
            }
        }
    }

    fn take(&self) -> Option<(Vec<u8>, u64)> {
        let mut waiting = self.waiting.lock();
        waiting.is_writing = !waiting.lines.is_empty() || waiting.dropped > 0;
        waiting.is_writing.then(|| {
            (
                mem::take(&mut waiting.lines),
                mem::take(&mut waiting.dropped),
            )
        })
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0 && !self.is_writing
    }
}

/// For the logger: each write is one line.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// An output that passes each write on, and waits until the test has taken it.
    struct Rendezvous(mpsc::SyncSender<String>);

    impl Write for Rendezvous {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let text_of = String::from_utf8_lossy(text).into_owned();
            let _ = self.0.send(text_of);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (LogQueue, mpsc::Receiver<String>) {
        let (sender, written) = mpsc::sync_channel(0);
        let dropped_line = |count| format!("{count} dropped");
        let queue = LogQueue::start(Rendezvous(sender), dropped_line).unwrap();
        (queue, written)
    }

    #[test]
    fn lines_are_written_in_order_and_flush_waits_for_them() {
        let (queue, written) = start();
        queue.push(b"a\n");
        let reader = std::thread::spawn(move || written.into_iter().take(1).collect::<String>());
        queue.flush(Duration::from_secs(60));
        assert!(queue.waiting.lock().is_empty());
        assert_eq!(reader.join().unwrap(), "a\n");
    }

    #[test]
    fn a_full_queue_drops_lines_and_reports_how_many() {
        let (queue, written) = start();
        let line = [b'x'; 1023];
        let line = [&line[..], b"\n"].concat();
        // The thread waits in its first write.
        queue.push(b"first\n");
        while !queue.waiting.lock().is_writing {
            std::thread::yield_now();
        }
        for _ in 0..2048 {
            queue.push(&line);
        }
        queue.flush(Duration::from_millis(1));
        assert_eq!(queue.waiting.lock().lines.len(), MAX_QUEUED_BYTES);
        let mut text = String::new();
        while !text.contains("dropped") {
            text += &written.recv().unwrap();
        }
        assert!(text.starts_with("first\nxxx"), "{}", text.len());
        assert!(text.ends_with("x\n1024 dropped"), "{}", text.len());
        assert_eq!(text.matches('\n').count(), 1025);
    }
}
