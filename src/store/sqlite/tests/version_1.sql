PRAGMA user_version = 1;
INSERT INTO meta VALUES ('state_id', '0123456789abcdef'), ('clean_stop', '1');
INSERT INTO target VALUES ('shop', 'https://api.example.com/|||refresh', 900, 'taken', 2, 1, '{}');
INSERT INTO task VALUES
    ('shop', 'done', 'file', 'success', 1000, 2000, 2000, 0, 0, 0, 0,
    '{"http://example.com/a.jpg":{"status":"success","progress":40,"finished":1900},"http://example.com/b.jpg":{"status":"success"}}'),
    ('shop', 'waiting', NULL, 'unknow', NULL, 2000, 2000, 1, 2, 0, 1, '{}');
INSERT INTO event VALUES
    (1, 'evt_0123456789abcdef0000000000000001', 'task.failure', 2000, 2000, 'shop', 'done', '{}'),
    (2, 'evt_0123456789abcdef0000000000000002', 'task.failure', 2000, 2000, 'shop', 'done', '{"id":"the same bytes"}'),
    (3, 'evt_0123456789abcdef0000000000000003', 'watch.failing', 2000, 2000, 'shop', NULL, '{}'),
    (5, 'evt_0123456789abcdef0000000000000005', 'task.wait', 2000, 2000, 'shop', 'waiting', '{}');
INSERT INTO webhook VALUES ('ops'), ('chat'), ('gone');
INSERT INTO delivery VALUES
    (1, 'ops', 'delivered', 0, NULL, 2100, 'HTTP 204'),
    (2, 'ops', 'pending', 3, 2500, 2100, 'HTTP 503'),
    (3, 'ops', 'pending', 0, NULL, NULL, NULL),
    (1, 'chat', 'dead', 1, NULL, 2100, 'HTTP 400');
DELETE FROM event WHERE sequence = 5;
