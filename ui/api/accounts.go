package api

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"evenkeel/appliance"
)

// NewUser is an account to be made.
type NewUser struct {
	Name     string         `json:"name"`
	Role     appliance.Role `json:"role"`
	Password string         `json:"password"`
}

// RoleChange gives an account another role.
type RoleChange struct {
	Role appliance.Role `json:"role"`
}

// PasswordChange gives an account another password.
type PasswordChange struct {
	Password string `json:"password"`
}

// TokenRequest is a token to be made.
type TokenRequest struct {
	Label    string             `json:"label"`
	Role     appliance.Role     `json:"role"`
	Operator string             `json:"operator,omitempty"`
	Life     appliance.Duration `json:"life,omitzero"`
}

// Token is what is known of a token; the secret itself is not kept.
type Token struct {
	ID       string         `json:"id"`
	Label    string         `json:"label"`
	Operator string         `json:"operator"`
	Role     appliance.Role `json:"role"`
	Created  time.Time      `json:"created"`
	Expires  time.Time      `json:"expires,omitzero"`
}

// IssuedToken is a new token with its secret, which is never shown again.
type IssuedToken struct {
	Token
	Secret string `json:"token"`
}

func (a *API) accountRoutes() []route {
	const admin = appliance.Administrator
	return []route{
		{Method: "GET", Path: "/users", Role: admin, Summary: "All accounts.", Gives: []appliance.Operator{}, Status: 200, do: listUsers},
		{Method: "POST", Path: "/users", Role: admin, Summary: "Makes an account.", Query: []parameter{why()}, Takes: NewUser{}, Gives: appliance.Operator{}, Status: 201, do: createUser},
		{Method: "GET", Path: "/users/{name}", Role: admin, Summary: "One account.", Gives: appliance.Operator{}, Status: 200, do: showUser},
		{
			Method: "PUT", Path: "/users/{name}/role", Role: admin, Summary: "Gives an account another role.",
			Query: []parameter{why()}, Takes: RoleChange{}, Gives: appliance.Operator{}, Status: 200, do: changeRole,
		},
		{
			Method: "PUT", Path: "/users/{name}/password", Role: admin, Summary: "Gives an account another password and ends its sessions.",
			Query: []parameter{why()}, Takes: PasswordChange{}, Status: 204, do: changePassword,
		},
		{Method: "DELETE", Path: "/users/{name}", Role: admin, Summary: "Removes an account with its sessions and tokens.", Query: []parameter{why()}, Status: 204, do: deleteUser},
		{Method: "GET", Path: "/tokens", Role: admin, Summary: "All tokens, without their secrets.", Gives: []Token{}, Status: 200, do: listTokens},
		{
			Method: "POST", Path: "/tokens", Role: admin, Summary: "Makes a token for scripts. The answer is the only place where its secret is shown.",
			Query: []parameter{why()}, Takes: TokenRequest{}, Gives: IssuedToken{}, Status: 201, do: createToken,
		},
		{Method: "DELETE", Path: "/tokens/{id}", Role: admin, Summary: "Ends a token.", Query: []parameter{why()}, Status: 204, do: deleteToken},
	}
}

func listUsers(c *call) error {
	list, err := c.api.Store.Operators(c.Request().Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []appliance.Operator{}
	}
	return c.object(http.StatusOK, list)
}

func (c *call) user(name string) (appliance.Operator, error) {
	list, err := c.api.Store.Operators(c.Request().Context())
	if err != nil {
		return appliance.Operator{}, err
	}
	for _, o := range list {
		if o.Name == name {
			return o, nil
		}
	}
	return appliance.Operator{}, &appliance.Error{Kind: appliance.NotFound, Subject: name, Message: fmt.Sprintf("There is no user %.40q.", name)}
}

func showUser(c *call) error {
	o, err := c.user(c.Param("name"))
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, o)
}

// renamed moves errors from the field of the door's forms to the field of ours.
func renamed(err error, from, to string) error {
	if err == nil || appliance.KindOf(err) == appliance.Internal {
		return err
	}
	var out appliance.Errors
	for _, e := range appliance.ErrorsOf(err) {
		moved := *e
		if moved.Field == from {
			moved.Field = to
		}
		out = append(out, &moved)
	}
	return out
}

func createUser(c *call) error {
	var u NewUser
	if err := c.decode(&u); err != nil {
		return err
	}
	if err := c.api.Door.NewOperator(c.Request().Context(), c.origin, u.Name, u.Role, u.Password); err != nil {
		return renamed(err, "new", "password")
	}
	made, err := c.user(u.Name)
	if err != nil {
		return err
	}
	return c.created("/users/"+url.PathEscape(made.Name), made)
}

func changeRole(c *call) error {
	u, err := c.user(c.Param("name"))
	if err != nil {
		return err
	}
	var want RoleChange
	if err := c.decode(&want); err != nil {
		return err
	}
	if !want.Role.Valid() {
		return appliance.Refuse("role", "%.40q is not a role; choose administrator, operator or viewer.", string(want.Role))
	}
	if u.Role != want.Role { // setting a role ends the user's sessions
		if err := c.api.Store.SetRole(c.Request().Context(), c.origin, u.Name, want.Role); err != nil {
			return err
		}
	}
	u.Role = want.Role
	return c.object(http.StatusOK, u)
}

func changePassword(c *call) error {
	u, err := c.user(c.Param("name"))
	if err != nil {
		return err
	}
	var want PasswordChange
	if err := c.decode(&want); err != nil {
		return err
	}
	if err := c.api.Door.SetPassword(c.Request().Context(), c.origin, u.Name, want.Password); err != nil {
		return renamed(err, "new", "password")
	}
	return c.NoContent(http.StatusNoContent)
}

func deleteUser(c *call) error {
	u, err := c.user(c.Param("name"))
	if err != nil {
		return err
	}
	if err := c.api.Store.DeleteOperator(c.Request().Context(), c.origin, u.Name); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func tokenOf(t appliance.TokenRecord) Token {
	return Token{ID: t.ID, Label: t.Label, Operator: t.Operator, Role: t.Role, Created: t.Created, Expires: t.Expires}
}

func listTokens(c *call) error {
	list, err := c.api.Store.Tokens(c.Request().Context())
	if err != nil {
		return err
	}
	out := make([]Token, len(list))
	for i, t := range list {
		out[i] = tokenOf(t)
	}
	return c.object(http.StatusOK, out)
}

func createToken(c *call) error {
	var want TokenRequest
	if err := c.decode(&want); err != nil {
		return err
	}
	if want.Operator == "" {
		want.Operator = c.operator.Name
	}
	owner, err := c.user(want.Operator)
	if appliance.KindOf(err) == appliance.NotFound {
		e := appliance.Refuse("operator", "There is no user %.40q; a token belongs to one and ends with it.", want.Operator)
		e.Hint = "Name the user whom the token belongs to."
		return e
	}
	if err != nil {
		return err
	}
	if want.Life < 0 {
		return appliance.Refuse("life", "A token lives for some time, or for ever when this is left out.")
	}
	secret, t, err := c.api.Door.NewToken(c.Request().Context(), c.origin, owner, want.Label, want.Role, want.Life.D())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", Prefix+"/tokens/"+url.PathEscape(t.ID))
	return c.give(http.StatusCreated, IssuedToken{tokenOf(t), secret})
}

func deleteToken(c *call) error {
	if err := c.api.Store.DeleteToken(c.Request().Context(), c.origin, c.Param("id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
