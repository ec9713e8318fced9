package fallback

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestPageIsServedForEveryPathAndEndsWithItsContext(t *testing.T) {
	p, err := Open("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for _, path := range []string{"/", "/any/where?x=<b>"} {
		answer, err := http.Get("http://" + p.Address().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 503 || !strings.Contains(string(body), "not available right now") || strings.Contains(string(body), "<b>") {
			t.Errorf("%s: %d %.80s", path, answer.StatusCode, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestBusyPortIsNamed(t *testing.T) {
	p, err := Open("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.listener.Close()
	_, err = Open(p.Address().String(), nil)
	if appliance.KindOf(err) != appliance.Conflict || !strings.Contains(err.Error(), p.Address().String()) {
		t.Errorf("%v", err)
	}
}

func TestThePageOfTheOperatorIsServedAsItIsNow(t *testing.T) {
	own := "<h1>closed today</h1>"
	p, err := Open("127.0.0.1:0", func() string { return own })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, want := range []string{own, "<h1>back soon</h1>", ""} {
		own = want
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if want == "" {
			want = Builtin()
		}
		if w.Code != 503 || w.Body.String() != want {
			t.Errorf("%d %.80s", w.Code, w.Body.String())
		}
	}
}
