//! TODO logging
