-- Revisions of the cluster line that the other node of a pair never had: they were set aside when its line was taken over. And how far each sender of settings came.

CREATE TABLE aside (
  since      INTEGER NOT NULL, -- when they were set aside
  number     INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  operator   TEXT    NOT NULL,
  source     TEXT    NOT NULL,
  via        TEXT    NOT NULL,
  why        TEXT    NOT NULL,
  summary    TEXT    NOT NULL,
  hash       TEXT    NOT NULL REFERENCES content (hash),
  outcome    TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (since, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE received (
  source   TEXT    PRIMARY KEY, -- the pair and the node
  sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
