package store

import (
	"crypto/sha256"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestWhoIsSignedOutByTheUsersOfThePairCanBeToldWhy: those with another password and those who are gone, and nobody else.
func TestWhoIsSignedOutByTheUsersOfThePairCanBeToldWhy(t *testing.T) {
	a, b := openTest(t, t.TempDir()), openTest(t, t.TempDir())
	fillShared(t, a)
	addOperator(t, b, "anna", appliance.Viewer)
	addOperator(t, b, "gone", appliance.Administrator)
	other, gone, out := addSession(t, b, "anna"), addSession(t, b, "gone"), sessionOf("out")
	out.Operator = "gone"
	if err := b.CreateSession(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteSession(t.Context(), out.TokenHash); err != nil { // signed out before
		t.Fatal(err)
	}
	told := func(when string, hash [32]byte, want bool) {
		t.Helper()
		if got, err := b.SessionReplaced(t.Context(), hash); err != nil || got != want {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	told("while it is good", other.TokenHash, false)
	if _, err := b.TakeShared(t.Context(), "pair/a", 1, sharedBy(t, a)); err != nil {
		t.Fatal(err)
	}
	told("with another password", other.TokenHash, true)
	told("of a user who is gone", gone.TokenHash, true)
	told("of who had signed out", out.TokenHash, false)
	told("of nobody", sha256.Sum256([]byte("guess")), false)
	if err := b.DeleteSession(t.Context(), gone.TokenHash); err != nil {
		t.Fatal(err)
	}
	told("of a browser that has signed in anew", gone.TokenHash, false)
	now := b.now()
	b.now = func() time.Time { return now.Add(48 * time.Hour) }
	told("when the session would have ended anyway", other.TokenHash, false)
}
