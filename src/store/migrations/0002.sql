-- For onlookers: tasks, newest first, with all that they are chosen by but their URLs; a task's events; events by type.

CREATE INDEX task_newest
    ON task (coalesce(created, first_seen), target, id, status, type, stalled, vanished, in_flight);
CREATE INDEX event_task ON event (task, sequence) WHERE task IS NOT NULL;
CREATE INDEX event_type ON event (type, recorded);
