package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/schema"
)

// call is one request on its way.
type call struct {
	echo.Context
	api        *API
	route      *route
	operator   appliance.Operator
	origin     appliance.Origin
	query      url.Values
	dry, apply bool
}

// statusError is a refusal whose status is HTTP's own.
type statusError struct {
	status  int
	err     *appliance.Error
	hostKey string // to be confirmed
}

// Error returns the sentence.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap returns the refusal.
func (e *statusError) Unwrap() error { return e.err }

func status(code int, hint, format string, args ...any) error {
	e := appliance.Refuse("", format, args...)
	e.Hint = hint
	return &statusError{status: code, err: e}
}

// ofStatus answers errors whose status no kind decides.
func ofStatus(err error) (problem.Problem, bool) {
	var own *statusError
	var syntax *schema.SyntaxError
	var routing *echo.HTTPError
	code := 0
	switch {
	case errors.As(err, &own):
		code, err = own.status, own.err
	case errors.As(err, &syntax):
		code, err = http.StatusBadRequest, syntax.Problem
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		code, err = routing.Code, appliance.Refuse("", "This path does not know that method; the Allow header lists those it knows.")
	case errors.As(err, &routing) && routing.Code == http.StatusNotFound:
		code, err = routing.Code, &appliance.Error{Kind: appliance.NotFound, Message: "There is nothing at this path."}
	default:
		return problem.Problem{}, false
	}
	p := problem.Of(err)
	p.Status, p.Title = code, http.StatusText(code)
	if own != nil {
		p.HostKey = own.hostKey
	}
	return p, true
}

const maxWhy = 500

// readQuery refuses parameters that the route does not know: a misspelt dry_run must not save.
func (c *call) readQuery() error {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return status(http.StatusBadRequest, "", "The query of the address cannot be read.")
	}
	for name, list := range values {
		known := slices.ContainsFunc(c.route.Query, func(p parameter) bool { return p.Name == name })
		if !known || len(list) > 1 {
			return status(http.StatusBadRequest, c.knownParameters(), "The query parameter %.40q is unknown here, or stands twice.", name)
		}
	}
	c.query = values
	if c.dry, err = c.truth("dry_run"); err != nil {
		return err
	}
	if c.apply, err = c.truth("apply"); err != nil {
		return err
	}
	reason := values.Get("why")
	if len(reason) > maxWhy || strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return appliance.Refuse("why", "The reason is one line of at most %d bytes.", maxWhy)
	}
	c.origin.Why = reason
	return nil
}

func (c *call) knownParameters() string {
	if len(c.route.Query) == 0 {
		return "This path takes no parameters."
	}
	names := make([]string, len(c.route.Query))
	for i, p := range c.route.Query {
		names[i] = p.Name
	}
	return "Known here are: " + strings.Join(names, ", ") + "."
}

func (c *call) truth(name string) (bool, error) {
	switch c.query.Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if c.query.Has(name) {
		return false, status(http.StatusBadRequest, "", "The query parameter %s is true or false.", name)
	}
	return false, nil
}

// number reads a whole number of the query within lo and hi.
func (c *call) number(name string, preset, lo, hi int64) (int64, error) {
	if !c.query.Has(name) {
		return preset, nil
	}
	n, err := strconv.ParseInt(c.query.Get(name), 10, 64)
	if err != nil || n < lo || n > hi {
		return 0, status(http.StatusBadRequest, "", "The query parameter %s is a number from %d to %d.", name, lo, hi)
	}
	return n, nil
}

const maxBody = 1 << 20

// body returns the bytes of the request, of JSON or, with PATCH, of a merge patch.
func (c *call) body() ([]byte, error) {
	r := c.Request()
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	patch := c.route.Patch && media == "application/merge-patch+json"
	if err != nil || media != "application/json" && !patch || r.Header.Get("Content-Encoding") != "" {
		hint := "Send Content-Type: application/json, uncompressed."
		if c.route.Patch {
			hint = "Send Content-Type: application/merge-patch+json, uncompressed."
		}
		return nil, status(http.StatusUnsupportedMediaType, hint, "The body must be JSON.")
	}
	limit := c.route.Limit
	if limit == 0 {
		limit = maxBody
	}
	tooLarge := status(http.StatusRequestEntityTooLarge, "", "The body is larger than %d KiB.", limit>>10)
	if r.ContentLength > limit { // said before any of it is read: who waits for 100 Continue sends nothing
		return nil, tooLarge
	}
	text, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, limit))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, status(http.StatusBadRequest, "", "The body ended before its announced length.")
	}
	return text, nil
}

// decode reads the body into the value that into points to.
func (c *call) decode(into any) error {
	text, err := c.body()
	if err != nil {
		return err
	}
	return schema.Decode(text, into)
}

// lasting is the context of what must not stop halfway because the client went away.
func (c *call) lasting() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.Request().Context()), 2*time.Minute)
}

// tag is the ETag of an object.
func tag(v any) string { return `"` + appliance.Hash(v) + `"` }

// object answers with v and its ETag, or 304 when the client has it already.
func (c *call) object(code int, v any) error {
	etag := tag(v)
	c.Response().Header().Set("ETag", etag)
	if m := c.Request().Method; m == http.MethodGet || m == http.MethodHead {
		for candidate := range strings.SplitSeq(c.Request().Header.Get("If-None-Match"), ",") {
			if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == etag {
				return c.NoContent(http.StatusNotModified)
			}
		}
	}
	return c.give(code, v)
}

// give answers with v.
func (c *call) give(code int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write answer", Err: err}
	}
	return c.Blob(code, "application/json", append(text, '\n'))
}

// ifMatch returns the hash that the client knows of an object whose hash is now current; "" when it does not care (*).
func (c *call) ifMatch(current string) (string, error) {
	lines := c.Request().Header.Values("If-Match")
	if len(lines) == 0 {
		return "", status(http.StatusPreconditionRequired, "Read the object, and send its ETag as If-Match; or If-Match: * to overwrite whatever is there.",
			"This request must say which version of the object it is about.")
	}
	text := strings.TrimSpace(strings.Join(lines, ","))
	if text == "*" {
		return "", nil
	}
	known := ""
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		weak := strings.HasPrefix(part, "W/")
		part = strings.TrimPrefix(part, "W/")
		if len(part) < 2 || part[0] != '"' || part[len(part)-1] != '"' || strings.Contains(part[1:len(part)-1], `"`) {
			return "", status(http.StatusBadRequest, "An ETag stands in quotes, as it came.", "The If-Match header cannot be read.")
		}
		hash := part[1 : len(part)-1]
		switch {
		case weak:
		case hash == current:
			return hash, nil
		case known == "" && hash != "":
			known = hash
		}
	}
	if known == "" {
		return "none", nil // weak tags never match, RFC 9110, 13.1.1
	}
	return known, nil
}
