//! The answers of a poll that are still referred to, and the memory of those that are not: each page is read into that of
//! an earlier one. Pure.

use std::sync::Arc;

/// So many are in use at a time: the page at hand, the one before it, and one that a task which was cut in two began on.
/// More are left to those who refer to them.
const KEPT: usize = 3;

/// Answers, oldest first.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<Arc<String>>);

impl Texts {
    /// Takes note of an answer, so that its memory comes back.
    pub(super) fn keep(&mut self, text: Arc<String>) {
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        self.0.push(text);
    }

    /// The bytes of an answer that nobody refers to any more, as they are; none if there is none.
    pub(super) fn take_unused(&mut self) -> Vec<u8> {
        let unused = self.0.iter().position(|text| Arc::strong_count(text) == 1);
        let text = unused.and_then(|place| Arc::into_inner(self.0.remove(place)));
        text.unwrap_or_default().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Arc<String> {
        Arc::new(text.to_owned())
    }

    #[test]
    fn memory_comes_back_when_nobody_refers_to_it() {
        let mut texts = Texts::default();
        let (first, second) = (text("first"), text("second"));
        texts.keep(Arc::clone(&first));
        texts.keep(Arc::clone(&second));
        assert_eq!(texts.take_unused(), b"");
        drop(second);
        assert_eq!(texts.take_unused(), b"second");
        assert_eq!(texts.take_unused(), b"");
        assert_eq!(*first, "first");
    }

    #[test]
    fn no_more_is_kept_than_a_walk_refers_to() {
        let mut texts = Texts::default();
        for one in ["a", "b", "c", "d"] {
            texts.keep(text(one));
        }
        let taken: Vec<_> = std::iter::repeat_with(|| texts.take_unused())
            .take(4)
            .collect();
        assert_eq!(taken, [&b"b"[..], b"c", b"d", b""]);
    }
}
