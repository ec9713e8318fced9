package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"

	"evenkeel/appliance"
)

// NotRunning tells whether err says that no appliance runs on the data folder, so that the folder is at rest.
func NotRunning(err error) bool { return errors.Is(err, errNotRunning) }

// ConfigExport returns the whole configuration of the appliance that runs on the data folder, as indented JSON. NotRunning tells that none does.
func ConfigExport(ctx context.Context, dir string) ([]byte, error) {
	return exported(ctx, dial(filepath.Join(dir, SocketName)))
}

func exported(ctx context.Context, c *client) ([]byte, error) {
	a, err := c.do(ctx, "GET", "/configuration", nil, nil, "")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(a.body), "", "  "); err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "read answer", Err: err}
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// ConfigImport replaces the whole configuration of the appliance that runs on the data folder, in one revision, and returns its number. It does not apply it.
// NotRunning tells that no appliance does.
func ConfigImport(ctx context.Context, dir string, text []byte, why string) (revision string, err error) {
	a, err := dial(filepath.Join(dir, SocketName)).do(ctx, "PUT", "/configuration", pairs("why", why), text, "*")
	if err != nil {
		return "", err
	}
	return a.header.Get("Revision"), nil
}

func export(s *session) error {
	text, err := exported(s.ctx, s.client)
	if err != nil {
		return err
	}
	if len(s.args) == 0 || s.args[0] == "-" {
		s.out.Write(text)
		return nil
	}
	if err := writeFile(s.args[0], text); err != nil {
		return err
	}
	if s.flagged("json") {
		s.printf("{}\n")
		return nil
	}
	s.printf("Wrote the configuration to %s.\n", s.args[0])
	return nil
}

func importFile(s *session) error {
	text, err := s.file(s.args[0])
	if err != nil {
		return err
	}
	return s.change("PUT", "/configuration", text, "*", "Imported "+s.args[0]+".")
}
