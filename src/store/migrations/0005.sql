-- For metrics: tasks by target and status are counted from this index alone, in its order.

CREATE INDEX task_status ON task (target, status, stalled, in_flight, vanished);
