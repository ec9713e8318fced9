// Package view draws the pages: typed views in, HTML out. It decides nothing and reads nothing; whatever text it is given comes out inert.
package view

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
)

// Number writes n with thin groups of thousands: 12 480.
func Number[T int | int64 | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	if len(s) <= 4 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Scaled returns a value with at most three digits and its unit: 412 Mbit/s.
func Scaled(v float64, step float64, units ...string) (string, string) {
	i := 0
	for v >= step*0.9995 && i < len(units)-1 {
		v /= step
		i++
	}
	switch {
	case v == 0:
		return "0", units[i]
	case v < 9.95 && i > 0:
		return strconv.FormatFloat(v, 'f', 1, 64), units[i]
	}
	return strconv.FormatFloat(v, 'f', 0, 64), units[i]
}

// Bits writes a rate.
func Bits(perSecond float64) (string, string) {
	return Scaled(perSecond, 1000, "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")
}

// Bytes writes a size.
func Bytes(n uint64) string {
	v, unit := Scaled(float64(n), 1024, "B", "KB", "MB", "GB", "TB", "PB")
	return v + " " + unit
}

// Span writes a duration in its one or two largest units: 41 min, 3 h 12 min.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		if m := int(d.Minutes()) % 60; m > 0 {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), m)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	days := int(d.Hours()) / 24
	if h := int(d.Hours()) % 24; h > 0 && days < 10 {
		return fmt.Sprintf("%s %d h", Plural(days, "day"), h)
	}
	return Plural(days, "day")
}

// Took writes how long a check took.
func Took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Plural counts: 1 connection, 2 connections.
func Plural[T int | int64 | uint64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// From writes where something was done from.
func From(o appliance.Origin) string {
	switch {
	case !o.From.IsValid():
		return o.Via
	case o.Via == "webui":
		return o.From.String()
	}
	return o.Via + " " + o.From.String()
}

// Address writes an address, or nothing.
func Address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }
func wall(t time.Time) string    { return t.Format("2006-01-02 15:04:05") }
func zoned(t time.Time) string   { return t.Format("2006-01-02 15:04:05 MST") }

func queryEscape(s string) string { return url.QueryEscape(s) }

// shown writes a value of a plan; long ones are cut, nothing is a dash.
func shown(s string) string {
	if s == "" {
		return "–"
	}
	if r := []rune(s); len(r) > 400 {
		return string(r[:400]) + "…"
	}
	return s
}

// words writes a verb of the audit's catalogue: sign_in → sign in.
func words(action string) string { return strings.ReplaceAll(action, "_", " ") }

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return Number(n) + " entries"
}
