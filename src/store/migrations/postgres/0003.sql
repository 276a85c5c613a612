-- Tasks are asked for in the order in which lists show them, from any place on; how far the newest reach is told by the same
-- index, as quickly.

CREATE INDEX task_listed ON task (target, created, id) WHERE created IS NOT NULL;
DROP INDEX task_created;
