-- A fingerprint now stands for the whole text of a task, and tells how long it is (src/model/footprint.rs). Those of before
-- stood for its parts: each task is compared in full once more, and gets a new one.

UPDATE task SET fingerprint = NULL WHERE fingerprint IS NOT NULL;
