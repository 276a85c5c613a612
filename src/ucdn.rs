//! TODO ucdn
