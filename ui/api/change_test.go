package api

import (
	"errors"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// TestNoSentenceIsGluedToACommand: a hint that ends in a command can be copied.
func TestNoSentenceIsGluedToACommand(t *testing.T) {
	const command = "Run this as root: ip addr add 192.0.2.9/32 dev eth0"
	var e *appliance.Error
	if err := notApplied(2, &appliance.Error{Message: "No right.", Hint: command}); !errors.As(err, &e) || !strings.HasSuffix(e.Hint, command) || !strings.Contains(e.Hint, "still serves. Run") {
		t.Errorf("%+v", e)
	}
	if err := notApplied(2, &appliance.Error{Message: "No right."}); !errors.As(err, &e) || e.Hint != "What ran before still serves." {
		t.Errorf("%+v", e)
	}
}
