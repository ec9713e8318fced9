package cli

import (
	"cmp"
	"slices"
	"time"
)

// followEvery is how often a log that is followed is asked for what came, and followed the most lines that are shown of so much time.
const (
	followEvery = 500 * time.Millisecond
	followed    = "10000"
)

func logCommands() []command {
	return []command{{
		Name: "logs", Args: []string{"[SERVICE]"}, Summary: "the newest lines of the traffic log",
		Flags: []option{
			{Name: "contains", Value: "TEXT", Help: "Only lines with this text."},
			{Name: "limit", Value: "N", Help: "At most so many, 1 to 10000; 100 when absent."},
			{Name: "follow", Help: "Go on with what comes, until interrupted."},
		},
		Example: []string{"logs WEB --contains end=connect_failed", "logs WEB --follow", "logs --limit 1000"}, do: showLogs,
	}}
}

// lines is a part of the traffic log, as the interface gives it.
type lines struct {
	Lines []string `json:"lines"`
}

func showLogs(s *session) error {
	if s.flagged("follow") && s.flagged("json") {
		return s.misused("--follow writes lines, not JSON")
	}
	id := ""
	if len(s.args) == 1 {
		v, err := s.service(s.args[0])
		if err != nil {
			return err
		}
		id = v.ID
	}
	got, a, err := get[lines](s, "/logs", "service", id, "contains", s.flag("contains"), "limit", cmp.Or(s.flag("limit"), "100"))
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	s.showLines(got.Lines)
	if s.flagged("follow") {
		return s.followLogs(id, got.Lines)
	}
	if len(got.Lines) == 0 {
		s.printf("There is no such line.\n")
	}
	return nil
}

func (s *session) showLines(list []string) {
	for _, line := range list {
		s.printf("%s\n", inert(line))
	}
}

// followLogs shows what comes behind the lines that were shown, until the context ends.
func (s *session) followLogs(service string, shown []string) error {
	again := time.NewTicker(followEvery)
	defer again.Stop()
	for {
		if err := s.flush(); err != nil {
			return err
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-again.C:
		}
		got, _, err := get[lines](s, "/logs", "service", service, "contains", s.flag("contains"), "limit", followed, "newest", "true")
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fresh, gap := behind(shown, got.Lines)
		if gap {
			s.printf("So much came at once that some lines may be missing here.\n")
		}
		s.showLines(fresh)
		if len(fresh) > 0 {
			shown = fresh
		}
	}
}

// burst is how many new lines at once are more than the newest part of a log may hold.
const burst = 1000

// behind returns what stands behind the last line that was shown, and whether so much came that some of it may be gone. No two lines are equal: each has a number
// of its own.
func behind(shown, newest []string) (fresh []string, gap bool) {
	if len(shown) == 0 {
		return newest, false
	}
	at := slices.Index(newest, shown[len(shown)-1])
	return newest[at+1:], at < 0 && len(newest) >= burst
}
