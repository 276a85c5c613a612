//! Messages as people read them.
