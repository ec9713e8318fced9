package store

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"fmt"
	"io"

	"evenkeel/appliance"
)

const (
	noCertificate = "There is no such certificate."
	noRequest     = "There is no such signing request."
	noAuthority   = "There is no such authority."
)

// Certificates returns all of them with their keys, hidden ones too, by label.
func (s *Store) Certificates(ctx context.Context) ([]appliance.CertificateRecord, error) {
	return list(ctx, s.reader, "list certificates", func(rows *sql.Rows) (appliance.CertificateRecord, error) {
		var r appliance.CertificateRecord
		var created, hidden int64
		err := rows.Scan(&r.ID, &r.Version, &r.Label, &r.Chain, &r.Key, &created, &hidden)
		r.Created, r.Hidden = moment(created), moment(hidden)
		return r, err
	}, "SELECT id, version, label, chain, key, created, hidden FROM certificate ORDER BY label, id")
}

// SaveCertificate adds a certificate, or gives the one of that id another label and chain and shows it again. The error is of kind conflict when another one has the
// label. With a request, the signing request of that id is removed in the same transaction: its key is the certificate's now.
func (s *Store) SaveCertificate(ctx context.Context, o appliance.Origin, r appliance.CertificateRecord, request string) error {
	return s.recordShared(ctx, o, "certificate_save", r.ID, r.Label, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO certificate (id, version, label, chain, key, created, hidden) VALUES (?, 1, ?, ?, ?, ?, 0)
			ON CONFLICT (id) DO UPDATE SET version = version + 1, label = excluded.label, chain = excluded.chain, key = excluded.key, hidden = 0`,
			r.ID, r.Label, r.Chain, r.Key, nanos(s.now()))
		if err != nil || request == "" {
			return err
		}
		return must(tx.ExecContext(ctx, "DELETE FROM signing_request WHERE id = ?", request))(noRequest)
	})
}

// DeleteCertificate removes a certificate with its key. While any revision names it, it is only hidden, because going back to that revision needs it.
func (s *Store) DeleteCertificate(ctx context.Context, o appliance.Origin, id string) error {
	return s.recordShared(ctx, o, "certificate_delete", id, "", func(ctx context.Context, tx *sql.Tx) error {
		return s.removeOrHide(ctx, tx, "certificate", id, noCertificate)
	})
}

// SigningRequests returns all of them with their keys, by label.
func (s *Store) SigningRequests(ctx context.Context) ([]appliance.SigningRecord, error) {
	return list(ctx, s.reader, "list signing requests", func(rows *sql.Rows) (appliance.SigningRecord, error) {
		var r appliance.SigningRecord
		var created int64
		err := rows.Scan(&r.ID, &r.Label, &r.Request, &r.Key, &created)
		r.Created = moment(created)
		return r, err
	}, "SELECT id, label, request, key, created FROM signing_request ORDER BY label")
}

// SaveSigningRequest adds a signing request. The error is of kind conflict when another one has the label.
func (s *Store) SaveSigningRequest(ctx context.Context, o appliance.Origin, r appliance.SigningRecord) error {
	return s.recordShared(ctx, o, "signing_request_create", r.ID, r.Label, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO signing_request (id, label, request, key, created) VALUES (?, ?, ?, ?, ?)",
			r.ID, r.Label, r.Request, r.Key, nanos(s.now()))
		return err
	})
}

// DeleteSigningRequest removes a signing request with its key.
func (s *Store) DeleteSigningRequest(ctx context.Context, o appliance.Origin, id string) error {
	return s.recordShared(ctx, o, "signing_request_delete", id, "", func(ctx context.Context, tx *sql.Tx) error {
		return must(tx.ExecContext(ctx, "DELETE FROM signing_request WHERE id = ?", id))(noRequest)
	})
}

// Authorities returns all of them, hidden ones too, by label.
func (s *Store) Authorities(ctx context.Context) ([]appliance.AuthorityRecord, error) {
	return list(ctx, s.reader, "list authorities", func(rows *sql.Rows) (appliance.AuthorityRecord, error) {
		var r appliance.AuthorityRecord
		var created, hidden int64
		err := rows.Scan(&r.ID, &r.Version, &r.Label, &r.Bundle, &r.Revoked, &created, &hidden)
		r.Created, r.Hidden = moment(created), moment(hidden)
		return r, err
	}, "SELECT id, version, label, bundle, revoked, created, hidden FROM authority ORDER BY label, id")
}

// SaveAuthority adds a bundle of authorities, or replaces the content of the one of that id. The error is of kind conflict when another one has the label.
func (s *Store) SaveAuthority(ctx context.Context, o appliance.Origin, r appliance.AuthorityRecord) error {
	return s.recordShared(ctx, o, "authority_save", r.ID, r.Label, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO authority (id, version, label, bundle, revoked, created, hidden) VALUES (?, 1, ?, ?, ?, ?, 0)
			ON CONFLICT (id) DO UPDATE SET version = version + 1, label = excluded.label, bundle = excluded.bundle, revoked = excluded.revoked, hidden = 0`,
			r.ID, r.Label, r.Bundle, r.Revoked, nanos(s.now()))
		return err
	})
}

// DeleteAuthority removes a bundle of authorities, or hides it while any revision names it.
func (s *Store) DeleteAuthority(ctx context.Context, o appliance.Origin, id string) error {
	return s.recordShared(ctx, o, "authority_delete", id, "", func(ctx context.Context, tx *sql.Tx) error {
		return s.removeOrHide(ctx, tx, "authority", id, noAuthority)
	})
}

// removeOrHide deletes a row of a table, or hides it while the content of any revision names its id. Contents that cannot be read count as naming it.
func (s *Store) removeOrHide(ctx context.Context, tx *sql.Tx, table, id, absent string) error {
	named, err := namedByRevision(ctx, tx, id)
	if err != nil {
		return err
	}
	if named {
		return must(tx.ExecContext(ctx, "UPDATE "+table+" SET version = version + 1, hidden = ? WHERE id = ? AND hidden = 0", nanos(s.now()), id))(absent)
	}
	return must(tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = ?", id))(absent)
}

func namedByRevision(ctx context.Context, tx *sql.Tx, id string) (bool, error) {
	rows, err := tx.QueryContext(ctx, "SELECT body FROM content")
	if err != nil {
		return false, fmt.Errorf("read revisions: %w", err)
	}
	defer rows.Close()
	quoted := []byte(`"` + id + `"`)
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return false, fmt.Errorf("read revision: %w", err)
		}
		content, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body)), maxContent))
		if err != nil || bytes.Contains(content, quoted) {
			return true, nil
		}
	}
	return false, rows.Err()
}
