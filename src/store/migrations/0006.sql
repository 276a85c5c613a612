-- A task that changes rewrites a page of each index that holds what changed: among many tasks hardly two of them share one.
-- So the index of all tasks holds nothing that changes, and what onlookers choose and count tasks by is kept of those
-- alone that have not simply succeeded. What is past its retention is found by the index of all.

DROP INDEX task_prunable;
DROP INDEX task_status;
DROP INDEX task_newest;

CREATE INDEX task_newest ON task (coalesce(created, first_seen), target, id);
CREATE INDEX task_notable
    ON task (coalesce(created, first_seen), target, id, status, type, stalled, vanished, in_flight)
    WHERE status <> 'success' OR in_flight = 1 OR vanished = 1;
