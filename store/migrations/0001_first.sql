-- Times are nanoseconds since 1970 UTC; 0 stands for never. "source" is the address that an operator came from, or ''.

CREATE TABLE content (
  hash TEXT PRIMARY KEY,
  body BLOB NOT NULL -- JSON of Cluster or Local, deflated
) STRICT;

CREATE TABLE revision (
  line       TEXT    NOT NULL CHECK (line IN ('cluster', 'local')),
  number     INTEGER NOT NULL CHECK (number > 0),
  at         INTEGER NOT NULL,
  operator   TEXT    NOT NULL,
  source     TEXT    NOT NULL,
  via        TEXT    NOT NULL,
  why        TEXT    NOT NULL,
  summary    TEXT    NOT NULL,
  hash       TEXT    NOT NULL REFERENCES content (hash),
  outcome    TEXT    NOT NULL CHECK (outcome IN ('pending', 'applied', 'failed')),
  reason     TEXT    NOT NULL,
  applied_at INTEGER NOT NULL,
  PRIMARY KEY (line, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX revision_applied ON revision (line, number) WHERE outcome = 'applied';

CREATE TABLE audit (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  operator TEXT    NOT NULL,
  source   TEXT    NOT NULL,
  via      TEXT    NOT NULL,
  why      TEXT    NOT NULL,
  action   TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  outcome  TEXT    NOT NULL,
  detail   TEXT    NOT NULL
) STRICT;

CREATE TABLE operator (
  name          TEXT    PRIMARY KEY,
  role          TEXT    NOT NULL CHECK (role IN ('administrator', 'operator', 'viewer')),
  password_hash TEXT    NOT NULL,
  created       INTEGER NOT NULL,
  changed       INTEGER NOT NULL -- of the password
) STRICT;

CREATE TABLE session (
  token_hash BLOB    PRIMARY KEY CHECK (length(token_hash) = 32),
  operator   TEXT    NOT NULL REFERENCES operator (name) ON DELETE CASCADE,
  source     TEXT    NOT NULL,
  user_agent TEXT    NOT NULL,
  created    INTEGER NOT NULL,
  seen       INTEGER NOT NULL,
  expires    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_operator ON session (operator);

CREATE TABLE token (
  id       TEXT    PRIMARY KEY,
  label    TEXT    NOT NULL,
  operator TEXT    NOT NULL REFERENCES operator (name) ON DELETE CASCADE,
  role     TEXT    NOT NULL CHECK (role IN ('administrator', 'operator', 'viewer')),
  hash     BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
  created  INTEGER NOT NULL,
  expires  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX token_operator ON token (operator);

CREATE TABLE secret (
  name    TEXT    NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  value   BLOB    NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
