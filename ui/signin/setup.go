package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"evenkeel/appliance"
)

// Prepare is called once at start. While there is no operator it makes a new setup code, prints it and writes it to the code file; else it removes a file that was left.
// The code itself is kept nowhere else: in memory there is its hash.
func (d *Door) Prepare(ctx context.Context) error {
	needed, err := d.NeedsSetup(ctx)
	if err != nil {
		return err
	}
	if !needed {
		return d.removeCode()
	}
	code := newCode()
	sum := sha256.Sum256([]byte(canonicalCode(code)))
	if err := d.writeCode(code); err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "write setup code", Subject: d.codeFile, Err: err, Hint: "The data folder must be writable."}
	}
	d.codeHash.Store(&sum)
	_, err = fmt.Fprintf(d.announce, "\nSetup code: %s\nOpen the WebUI in a browser and enter this code to choose the password of the user %s.\n\n", code, FirstOperator)
	return err
}

// newCode returns twelve letters and digits in three groups: 60 bits.
func newCode() string {
	t := rand.Text()[:12]
	return t[:4] + "-" + t[4:8] + "-" + t[8:]
}

// canonicalCode forgives case, spaces and dashes, and the digits that look like letters of the alphabet used.
func canonicalCode(code string) string {
	code = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(strings.TrimSpace(code)))
	return code
}

func (d *Door) writeCode(code string) error {
	if d.codeFile == "" {
		return nil
	}
	if err := os.Remove(d.codeFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(d.codeFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(code + "\n"); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func (d *Door) removeCode() error {
	d.codeHash.Store(nil)
	if d.codeFile == "" {
		return nil
	}
	if err := os.Remove(d.codeFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "remove setup code", Subject: filepath.Base(d.codeFile), Err: err}
	}
	return nil
}

// NeedsSetup tells whether no operator exists yet.
func (d *Door) NeedsSetup(ctx context.Context) (bool, error) {
	if d.settled.Load() {
		return false, nil
	}
	list, err := d.store.Operators(ctx)
	if err != nil {
		return false, err
	}
	if len(list) > 0 {
		d.settled.Store(true)
	}
	return len(list) == 0, nil
}

// CheckCode tells whether code is the setup code; guesses are slowed. Errors: denied at field "code"; unavailable when this source must wait; not_found when the setup is done.
func (d *Door) CheckCode(r *http.Request, code string) error {
	needed, err := d.NeedsSetup(r.Context())
	if err != nil {
		return err
	}
	want := d.codeHash.Load()
	if !needed || want == nil {
		return &appliance.Error{Kind: appliance.NotFound, Op: "set up", Message: "The setup is done already."}
	}
	o := Origin(r, "setup")
	try, wait := d.guesses.begin("", o.From)
	if wait > 0 {
		return errWait(wait)
	}
	got := sha256.Sum256([]byte(canonicalCode(code)))
	if len(code) > 64 || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		err := &appliance.Error{Kind: appliance.Denied, Field: "code", Message: "This is not the setup code.", Hint: "It stands on the appliance's console, and in the file setup-code in its data folder."}
		d.audit(r.Context(), o, "setup", "", err)
		return err
	}
	try.succeeded()
	return nil
}

// Setup makes the first operator with that password when code is right, and opens a session. Errors: as CheckCode, and invalid at field "new". Of several at once one succeeds.
func (d *Door) Setup(r *http.Request, code, password string) (*http.Cookie, error) {
	if err := d.CheckCode(r, code); err != nil {
		return nil, err
	}
	o := Origin(r, "setup")
	o.Operator = FirstOperator
	if err := d.FirstPassword(r.Context(), o, password); err != nil {
		return nil, err
	}
	return d.open(r, FirstOperator)
}

// FirstPassword makes the first operator without a code: for setup on the machine itself. Errors: invalid at field "new"; conflict when the setup is done.
func (d *Door) FirstPassword(ctx context.Context, o appliance.Origin, password string) error {
	if err := CheckPassword(password, FirstOperator); err != nil {
		return err
	}
	needed, err := d.NeedsSetup(ctx)
	if err != nil {
		return err
	}
	if !needed {
		return &appliance.Error{Kind: appliance.Conflict, Op: "set up", Message: "The setup is done already.", Hint: "Sign in and change the password there."}
	}
	hash, err := d.Hash(ctx, password)
	if err != nil {
		return err
	}
	if err := d.store.CreateOperator(ctx, o, FirstOperator, appliance.Administrator, hash); err != nil {
		return err
	}
	d.settled.Store(true)
	if err := d.removeCode(); err != nil {
		d.log.Warn("setup code file not removed", "error", err)
	}
	return nil
}
