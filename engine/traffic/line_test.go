package traffic

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"evenkeel/engine/wire"
)

var ended = time.Date(2026, 11, 21, 5, 30, 12, 345_678_901, time.UTC)

const second = wire.Time(time.Second)

func lineOf(service string, r *wire.Record) string {
	e := Entry{Record: r, Stamp: AppendStamp(nil, ended), Service: service, Name: []byte("00c0ffee00c0ffee-0000002a")}
	return string(AppendLine(nil, &e))
}

func request() *wire.Record {
	return &wire.Record{
		ID: 42, Began: second, Connected: second + 1_204_000, FirstByte: second + 12_000_999, Ended: second + 13_500_000,
		Client: netip.MustParseAddrPort("[::ffff:203.0.113.7]:51000"), Server: &wire.Server{ID: "r1", Label: "WEB1"}, Address: netip.MustParseAddrPort("192.168.0.40:8080"),
		Line: []byte("GET\x00example.org\x00/a?b=c\x00"), Status: 200, BytesIn: 312, BytesOut: 5120, End: wire.EndDone,
	}
}

func TestLinesAreGolden(t *testing.T) {
	const head = "2026-11-21T05:30:12.345Z id=00c0ffee00c0ffee-0000002a service="
	refused := &wire.Record{Began: second, Ended: second, Client: netip.MustParseAddrPort("203.0.113.7:51000"), Status: 400, Own: true, End: wire.EndRefused, Why: "there are two Hosts"}
	failed := request()
	failed.Connected, failed.FirstByte, failed.Status, failed.Own, failed.Tries, failed.End, failed.Why = 0, 0, 503, true, 2, wire.EndConnectFailed, "no server can serve the request"
	session := request()
	session.Session, session.Line, session.Status, session.Reason, session.End = true, nil, 0, wire.ByPersistence, wire.EndClientClosed
	session.Client, session.Why = netip.MustParseAddrPort("[2001:db8::7]:104"), "the client broke off"
	long := request()
	long.Cut, long.Reason = true, wire.ByFallback
	for name, c := range map[string]struct {
		service string
		r       *wire.Record
		want    string
	}{
		"request": {"WEB", request(), "WEB client=203.0.113.7:51000 server=WEB1 address=192.168.0.40:8080 method=GET host=example.org path=/a?b=c status=200 connect=1.204 first=12.000 total=13.500 in=312 out=5120 by=scheduler end=done"},
		"refused": {"Web Röntgen", refused, `"Web Röntgen" client=203.0.113.7:51000 server=- method=- host=- path=- status=400 answer=own connect=- first=- total=0.000 in=0 out=0 end=refused why="there are two Hosts"`},
		"failed":  {"WEB", failed, `WEB client=203.0.113.7:51000 server=WEB1 address=192.168.0.40:8080 method=GET host=example.org path=/a?b=c status=503 answer=own connect=- first=- total=13.500 in=312 out=5120 by=scheduler retries=2 end=connect_failed why="no server can serve the request"`},
		"session": {"VNA_DICOM", session, `VNA_DICOM client=[2001:db8::7]:104 server=WEB1 address=192.168.0.40:8080 connect=1.204 first=12.000 total=13.500 in=312 out=5120 by=persistence end=client_closed why="the client broke off"`},
		"long":    {"WEB", long, "WEB client=203.0.113.7:51000 server=WEB1 address=192.168.0.40:8080 method=GET host=example.org path=/a?b=c cut=path status=200 connect=1.204 first=12.000 total=13.500 in=312 out=5120 by=fallback end=done"},
	} {
		if got := lineOf(c.service, c.r); got != head+c.want+"\n" {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, head+c.want)
		}
	}
}

func TestWhatAClientSentIsInert(t *testing.T) {
	for sent, want := range map[string]string{
		"":                        "-",
		"-":                       `"-"`,
		"/a=b;id|$(id)`id`":       "/a=b;id|$(id)`id`",
		"/a b":                    `"/a b"`,
		"/\" end=done":            `"/\" end=done"`,
		"/\n2026 service=X":       `"/\x0a2026 service=X"`,
		"/\r\x00\x1b[31m\x7f\xff": `"/\x0d\x00\x1b[31m\x7f\xff"`,
		"/\u202e":                 `"/\xe2\x80\xae"`,
		`/\x0a`:                   `"/\\x0a"`,
		"<script>alert(1)":        "<script>alert(1)", // the page's templates escape markup
	} {
		if got := string(appendValue(nil, []byte(sent))); got != want {
			t.Errorf("%q became %s, want %s", sent, got, want)
		}
	}
}

// FuzzEscape: whatever is sent, a line is one line of printable text, its fields stay where they are, and what was sent can be read back.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"/", "/a b=c", "\" end=done\n", "\x00\xff\\\"", "-", "\u202e\u2028"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := request()
		r.Line = append(append([]byte("GET\x00example.org\x00"), bytes.ReplaceAll(sent, []byte{0}, []byte{1})...), 0)
		line := lineOf("WEB", r)
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || !utf8.ValidString(line) || strings.ContainsFunc(line[:len(line)-1], func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("%q", line)
		}
		value := line[strings.Index(line, " path=")+6 : strings.LastIndex(line, " status=200 connect=")]
		if got := unescape(t, value); got != string(bytes.ReplaceAll(sent, []byte{0}, []byte{1})) {
			t.Fatalf("%q is read back as %q", sent, got)
		}
	})
}

// unescape reads a value as a program would that reads the log; a value that is not one whole word is a failure.
func unescape(t *testing.T, value string) string {
	if value == "-" {
		return ""
	}
	if value[0] != '"' {
		if strings.ContainsAny(value, " \"\\") {
			t.Fatalf("%q is no word", value)
		}
		return value
	}
	var out []byte
	for i := 1; ; i++ {
		switch c := value[i]; {
		case c == '"':
			if i != len(value)-1 {
				t.Fatalf("%q ends early", value)
			}
			return string(out)
		case c == '\\' && value[i+1] == 'x':
			out = append(out, byte(strings.IndexByte(hex, value[i+2])<<4|strings.IndexByte(hex, value[i+3])))
			i += 3
		case c == '\\':
			i++
			out = append(out, value[i])
		default:
			out = append(out, c)
		}
	}
}

func TestLongestLineIsBounded(t *testing.T) {
	r := request()
	r.Line = append([]byte("GET\x00h\x00"), bytes.Repeat([]byte{0xff}, 2<<10)...)
	if n := len(lineOf(strings.Repeat("é", 32), r)); n > MaxLine {
		t.Errorf("%d bytes", n)
	}
}

func TestWritingALineAllocatesNothing(t *testing.T) {
	l := New(Options{})
	n, r := l.Lane(), request()
	r.Line = append([]byte("GET\x00h\x00"), bytes.Repeat([]byte{0xff}, 1<<10)...)
	at, sink := ended, make([]byte, 0, ringSize)
	if allocs := testing.AllocsPerRun(500, func() {
		at = at.Add(250 * time.Millisecond)
		n.NewID()
		n.Write("WEB", at, r)
		n.ring.take(sink)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestIDsAreReadableAndNeverTwice(t *testing.T) {
	l := New(Options{})
	a, b := l.Lane(), l.Lane()
	a.prefix, b.prefix = 0xc0ffee, 0xc0ffef
	if got := string(a.AppendID(nil, 42)); got != "0000000000c0ffee-0000002a" {
		t.Error(got)
	}
	if got := string(b.AppendID(nil, 1<<40)); got != "0000000000c0ffef-10000000000" {
		t.Error(got)
	}
	if x, y := a.NewID(), a.NewID(); x == y {
		t.Errorf("%d twice", x)
	}
}

func TestStampsWithinASecondDifferInTheirMilliseconds(t *testing.T) {
	n := New(Options{}).Lane()
	for _, at := range []time.Time{ended, ended.Add(7 * time.Millisecond), ended.Add(time.Second), ended.Add(999 * time.Millisecond), ended.Add(-time.Hour)} {
		if n.setStamp(at); string(n.stamp) != string(AppendStamp(nil, at)) {
			t.Errorf("%s, want %s", n.stamp, AppendStamp(nil, at))
		}
	}
}
