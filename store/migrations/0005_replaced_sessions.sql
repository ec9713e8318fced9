-- Sessions that ended because the users of the pair took the place of this node's, so that whoever had one is told why.

CREATE TABLE session_replaced (
  token_hash BLOB    PRIMARY KEY CHECK (length(token_hash) = 32),
  expires    INTEGER NOT NULL -- when the session would have ended anyway
) STRICT, WITHOUT ROWID;
