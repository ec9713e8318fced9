package http1

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

// sized returns a request whose head has exactly so many bytes.
func sized(n int) string {
	const start, end = "GET / HTTP/1.1\r\nHost: x\r\nX-A: ", "\r\n\r\n"
	return start + strings.Repeat("a", n-len(start)-len(end)) + end
}

func TestARequestHeadMayHaveWhatTheServiceSays(t *testing.T) {
	for name, c := range map[string]struct {
		limit int
		edit  func(*appliance.VirtualService)
	}{
		"default":  {48 << 10, func(*appliance.VirtualService) {}},
		"least":    {appliance.MinHeadLimit, func(v *appliance.VirtualService) { v.HTTP.HeadLimit = appliance.MinHeadLimit }},
		"2000":     {2000, func(v *appliance.VirtualService) { v.HTTP.HeadLimit = 2000 }},
		"and more": {40000, func(v *appliance.VirtualService) { v.HTTP.HeadLimit = 40000 }},
	} {
		for _, bytewise := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, c.edit)
				feed(r.client, sized(c.limit), bytewise)
				r.equal("what the server got", take(r.connected(0)), sized(c.limit))

				r = newRig(t, c.edit)
				feed(r.client, sized(c.limit+1), bytewise)
				r.refusedWith("431")
				r.true("nothing was dialed", len(r.loop.Dialed) == 0)
			})
		}
		config := *newRig(t, c.edit).service.config
		for n, want := range map[int]int{c.limit: 0, c.limit + 1: 431} {
			if p := PreviewRequest(PreviewOptions{Config: &config, Head: []byte(sized(n)), Client: clientAddr, Local: vipAddr}); p.Refused.Status != want {
				t.Errorf("%s: %d bytes are foretold %d", name, n, p.Refused.Status)
			}
		}
	}
}

// TestAHeadWithoutEndIsRefusedAtTheLimitOfTheService: no more of it is waited for.
func TestAHeadWithoutEndIsRefusedAtTheLimitOfTheService(t *testing.T) {
	r := newRig(t, func(v *appliance.VirtualService) { v.HTTP.HeadLimit = 2000 })
	head := strings.TrimSuffix(sized(2004), "\r\n\r\n")
	feed(r.client, head, true)
	r.true("not yet too large", !r.client.Over())
	r.client.Arrive([]byte("a"))
	r.refusedWith("431")
}

func TestTheHeadOfAnAnswerIsNotBoundByTheLimitOfRequests(t *testing.T) {
	r := newRig(t, func(v *appliance.VirtualService) { v.HTTP.HeadLimit = appliance.MinHeadLimit })
	r.client.Arrive([]byte(get))
	line := "X-A: " + strings.Repeat("a", 4000) + "\r\n"
	r.connected(0).Arrive([]byte("HTTP/1.1 200 OK\r\n" + line + "Content-Length: 2\r\n\r\nhi"))
	r.true("it passed", strings.Contains(take(r.client), line))
	r.balanced()
}
