package signin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"evenkeel/appliance"
)

// hashWait is how long a sign-in may wait for its turn to be hashed.
const hashWait = 10 * time.Second

// SignIn checks name and password and returns the cookie of a new session. Errors: denied when they do not match (never which of the two), unavailable when
// this account or source must wait (RetryAfter says how long).
func (d *Door) SignIn(r *http.Request, name, password string) (*http.Cookie, appliance.Operator, error) {
	o := Origin(r, "webui")
	o.Operator = shorten(name)
	operator, err := d.Verify(r.Context(), o, name, password)
	if err != nil {
		return nil, appliance.Operator{}, err
	}
	cookie, err := d.open(r, operator.Name)
	if err != nil {
		return nil, appliance.Operator{}, err
	}
	return cookie, operator, nil
}

func shorten(name string) string {
	name = strings.ToValidUTF8(name, "")
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "")
	}
	return name
}

// Verify checks name and password without making a session; guesses are slowed and recorded. Errors as with SignIn, and invalid at field "password" when it is too long to be one.
func (d *Door) Verify(ctx context.Context, o appliance.Origin, name, password string) (appliance.Operator, error) {
	if len(password) > MaxPassword { // nobody has such a one: no guess
		return appliance.Operator{}, tooLong("password")
	}
	try, wait := d.guesses.begin(name, o.From)
	if wait > 0 {
		err := errWait(wait)
		if try.first {
			d.audit(ctx, o, "sign_in", shorten(name), err)
		}
		return appliance.Operator{}, err
	}
	if try.unsaid > 0 {
		d.audit(ctx, o, "sign_in", shorten(name), errSlowed(try.unsaid))
	}
	operator, err := d.match(ctx, name, password)
	switch appliance.KindOf(err) {
	case "":
		try.succeeded()
	case appliance.Denied:
	default: // not a guess that failed: we could not tell
		try.withdrawn()
	}
	d.audit(ctx, o, "sign_in", shorten(name), err)
	return operator, err
}

func (d *Door) match(ctx context.Context, name, password string) (appliance.Operator, error) {
	refused := &appliance.Error{Kind: appliance.Denied, Op: "sign in", Message: "User name or password is wrong."}
	if len(name) > 64 {
		return appliance.Operator{}, refused
	}
	hash, operator, err := d.store.PasswordHash(ctx, name)
	if err != nil && appliance.KindOf(err) != appliance.NotFound {
		return appliance.Operator{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	same, err := d.verify(waiting, hash, password)
	if err != nil {
		return appliance.Operator{}, err
	}
	if !same {
		return appliance.Operator{}, refused
	}
	return operator, nil
}

// ChangePassword sets the own password of an operator who knows the old one; all sessions of the operator end. Errors: denied or invalid at field "old", invalid at field "new".
func (d *Door) ChangePassword(ctx context.Context, o appliance.Origin, name, old, fresh string) error {
	if _, err := d.Verify(ctx, o, name, old); err != nil {
		switch appliance.KindOf(err) {
		case appliance.Denied:
			return &appliance.Error{Kind: appliance.Denied, Field: "old", Message: "This is not your password."}
		case appliance.Invalid:
			return tooLong("old")
		}
		return err
	}
	return d.SetPassword(ctx, o, name, fresh)
}

// SetPassword sets the password of an operator and ends the operator's sessions. Errors: invalid at field "new".
func (d *Door) SetPassword(ctx context.Context, o appliance.Origin, name, fresh string) error {
	if err := CheckPassword(fresh, name); err != nil {
		return err
	}
	hash, err := d.Hash(ctx, fresh)
	if err != nil {
		return err
	}
	if err := d.store.SetPassword(ctx, o, name, hash); err != nil {
		return err
	}
	return d.store.DeleteSessionsOf(ctx, name)
}

// NewOperator makes an account. Errors: invalid at fields "name", "role" and "new"; conflict when the name is taken.
func (d *Door) NewOperator(ctx context.Context, o appliance.Origin, name string, role appliance.Role, password string) error {
	var list appliance.Errors
	if !validName(name) {
		list = append(list, appliance.Refuse("name", "A user name has 1 to 32 small letters, digits, dot, _ and -, and begins with a letter."))
	}
	if !role.Valid() {
		list = append(list, appliance.Refuse("role", "Choose a role."))
	}
	if err := CheckPassword(password, name); err != nil {
		list = append(list, appliance.ErrorsOf(err)...)
	}
	if list != nil {
		return list
	}
	hash, err := d.Hash(ctx, password)
	if err != nil {
		return err
	}
	return d.store.CreateOperator(ctx, o, name, role, hash)
}

func validName(name string) bool {
	if name == "" || len(name) > 32 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}
