package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"evenkeel/appliance"
)

func TestExchangeOfSecretsIsWholeAndLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	old, fresh := []byte("an old secret that was shared"), []byte("a fresh one")
	for _, v := range [][]byte{old, []byte("a later version")} {
		if err := s.SetSecret(t.Context(), "pair", v); err != nil {
			t.Fatal(err)
		}
	}
	entry := appliance.AuditEntry{Origin: origin(), Action: "pair_break", Outcome: "done"}
	if err := s.ExchangeSecrets(t.Context(), map[string][]byte{"former": fresh, "other": nil}, []string{"pair"}, entry); appliance.KindOf(err) == "" {
		t.Fatal("a secret without a value was taken")
	}
	if v, err := s.Secret(t.Context(), "pair", nil); err != nil || string(v) != "a later version" {
		t.Fatalf("half of the exchange happened: %q, %v", v, err)
	}
	if err := s.ExchangeSecrets(t.Context(), map[string][]byte{"former": fresh}, []string{"pair", "absent"}, entry); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(t.Context(), "pair", nil); appliance.KindOf(err) != appliance.NotFound {
		t.Error(err)
	}
	if v, err := s.Secret(t.Context(), "former", nil); err != nil || !bytes.Equal(v, fresh) {
		t.Errorf("%q, %v", v, err)
	}
	if list, err := s.AuditEntries(t.Context(), 0, 1); err != nil || len(list) != 1 || list[0].Action != "pair_break" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, old) || bytes.Contains(b, []byte("a later version")) || !bytes.Contains(b, fresh) {
		t.Error("what was forgotten is still in the file")
	}
}
