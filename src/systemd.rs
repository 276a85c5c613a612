//! TODO systemd
