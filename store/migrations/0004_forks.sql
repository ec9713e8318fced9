-- What was set aside at once is a fork: which node went on without it, and when an administrator has seen it. What was set aside before nobody needs to see again.

ALTER TABLE aside ADD COLUMN kept TEXT NOT NULL DEFAULT ''; -- the node whose line goes on
ALTER TABLE aside ADD COLUMN seen INTEGER NOT NULL DEFAULT 1; -- 0: nobody has
