//! TODO deliver
