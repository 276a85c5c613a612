//! TODO watch
