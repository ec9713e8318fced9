package ui

import (
	"net/http"
	"testing"

	"evenkeel/appliance"
)

// TestSignInSaysThatTheUsersOfThePairReplacedTheOwn: to every browser that was signed in, until it signs in again, and to nobody else.
func TestSignInSaysThatTheUsersOfThePairReplacedTheOwn(t *testing.T) {
	const says = "You were signed out because this node now takes its users from the pair: sign in with a user and password of the pair."
	r, _ := beside(t, alone())
	gone, left := r.operator("gone", appliance.Viewer), r.operator("left", appliance.Viewer)
	r.post(left, "/lbadmin/sign-out")
	b, err := r.store.Belongings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	others := b.Operators[:0]
	for _, o := range b.Operators {
		if o.Name != "gone" && o.Name != "left" {
			o.Role = appliance.Administrator
			others = append(others, o)
		}
	}
	given := appliance.Shared{From: "lb1", Belongings: b}
	given.Belongings.Operators = append(others, appliance.OperatorRecord{Name: "petra", Role: appliance.Administrator, PasswordHash: b.Operators[0].PasswordHash})
	if _, err := r.store.TakeShared(t.Context(), "pair/lb1", 1, given); err != nil {
		t.Fatal(err)
	}
	status, h, _ := r.get(gone, layer7)
	if status != http.StatusFound {
		t.Fatalf("a user who is gone sees %d", status)
	}
	for range 2 {
		_, _, body := r.get(gone, h.Get("Location"))
		r.has(body, says)
	}
	for who, c := range map[string]*http.Client{"signed out before": left, "a stranger": r.browser()} {
		_, _, body := r.get(c, "/lbadmin/sign-in")
		if r.has(body, "!"+says, "Password"); t.Failed() {
			t.Fatal(who)
		}
	}
	r.signIn(gone, "petra")
	r.post(gone, "/lbadmin/sign-out")
	_, _, body := r.get(gone, "/lbadmin/sign-in")
	r.has(body, "!"+says)
}
