package engine

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestHeadLimitOfAServiceIsObeyedInBothVersionsAfterApply(t *testing.T) {
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("X-Large")) }))
	r := start(t, Options{})
	r.apply(v)
	two, dials := client2(t)
	ask := func(c *http.Client, size int) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://"+address(v), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Large", strings.Repeat("a", size))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusOK && len(body) != size {
			t.Errorf("%d bytes arrived", len(body))
		}
		return resp.StatusCode
	}
	both := func(size, want int) {
		t.Helper()
		if one, two := ask(client(t), size), ask(two, size); one != want || two != want {
			t.Errorf("%d bytes: %d by HTTP/1.1, %d by HTTP/2, want %d", size, one, two, want)
		}
	}
	both(40000, http.StatusOK)
	limited := v.Clone()
	limited.HTTP.HeadLimit = 8 << 10
	r.apply(limited)
	both(7000, http.StatusOK)
	both(40000, http.StatusRequestHeaderFieldsTooLarge)
	limited.HTTP.HeadLimit = appliance.MaxHeadLimit
	r.apply(limited)
	both(40000, http.StatusOK)
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections of HTTP/2", n)
	}
}
