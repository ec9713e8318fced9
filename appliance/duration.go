package appliance

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that reads and writes as people type it: "4s", "12h", "43s", "250ms". A bare number is milliseconds.
type Duration time.Duration

// D returns the standard type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String returns the shortest usual form: 12h, 30m, 43s, 1500ms; zero is 0s.
func (d Duration) String() string {
	t := time.Duration(d)
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if t != 0 && t%u.unit == 0 {
			return strconv.FormatInt(int64(t/u.unit), 10) + u.name
		}
	}
	if t == 0 {
		return "0s"
	}
	return t.String()
}

// ParseDuration reads "4s", "4 s", "12h", "1h30m", "4000 ms" or a bare number of milliseconds. The error is of kind Invalid.
func ParseDuration(text string) (Duration, error) {
	compact := strings.ReplaceAll(strings.TrimSpace(text), " ", "")
	compact = strings.TrimSuffix(strings.TrimSuffix(compact, "utes"), "in") // "30min", "30minutes"
	if n, err := strconv.ParseInt(compact, 10, 64); err == nil {
		if n > int64(maxDuration/time.Millisecond) || n < -int64(maxDuration/time.Millisecond) {
			return 0, Refuse("", "%q is too long a time", text)
		}
		return Duration(time.Duration(n) * time.Millisecond), nil
	}
	t, err := time.ParseDuration(compact)
	if err != nil {
		return 0, Refuse("", "%.40q is not a time; write for example 500 ms, 4 s, 30 m or 12 h", text)
	}
	return Duration(t), nil
}

const maxDuration = 365 * 24 * time.Hour

// MarshalJSON writes the string form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a string as ParseDuration does, or a number of milliseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return fmt.Errorf("read duration: %w", err)
		}
	}
	parsed, err := ParseDuration(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
