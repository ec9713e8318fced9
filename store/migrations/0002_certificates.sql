-- Certificates with their keys, keys that wait for a certificate, and the authorities of client certificates. None of it is in a revision: services name
-- a certificate by its fingerprint. "version" counts the changes of a row.

CREATE TABLE certificate (
  id      TEXT    PRIMARY KEY CHECK (length(id) = 64), -- SHA-256 of the certificate, in hex
  version INTEGER NOT NULL CHECK (version > 0),
  label   TEXT    NOT NULL,
  chain   BLOB    NOT NULL, -- PEM, the certificate first
  key     BLOB    NOT NULL, -- PKCS #8
  created INTEGER NOT NULL,
  hidden  INTEGER NOT NULL  -- when it was deleted while a revision still named it; 0: it was not
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX certificate_label ON certificate (label) WHERE hidden = 0;

CREATE TABLE signing_request (
  id      TEXT    PRIMARY KEY,
  label   TEXT    NOT NULL UNIQUE,
  request BLOB    NOT NULL, -- PEM
  key     BLOB    NOT NULL, -- PKCS #8
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE authority (
  id      TEXT    PRIMARY KEY,
  version INTEGER NOT NULL CHECK (version > 0),
  label   TEXT    NOT NULL,
  bundle  BLOB    NOT NULL, -- PEM: certificates
  revoked BLOB    NOT NULL, -- PEM: lists of revoked certificates, or empty
  created INTEGER NOT NULL,
  hidden  INTEGER NOT NULL  -- as of a certificate
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX authority_label ON authority (label) WHERE hidden = 0;
