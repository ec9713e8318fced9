package story

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// client speaks the REST API of one appliance.
type client struct {
	base  string // ends with /lbadmin/api/v1/
	token string
	http  *http.Client
}

func (d demoLine) client() *client {
	return &client{base: strings.TrimSuffix(d.WebUI, "/") + "/api/v1/", token: d.Token, http: &http.Client{
		Timeout:   2 * time.Minute,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 8}, // the demo's own certificate
	}}
}

// answer is what the API said.
type answer struct {
	status int
	etag   string
	body   []byte
}

func (c *client) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := c.try(method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (c *client) try(method, path, body string, header ...string) (answer, error) {
	r, err := http.NewRequest(method, c.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	got, err := c.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header.Get("ETag"), b}, err
}

// must is do with the status that is expected.
func (c *client) must(t *testing.T, status int, method, path, body string, header ...string) answer {
	t.Helper()
	a := c.do(t, method, path, body, header...)
	if a.status != status {
		t.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, status, bytes.TrimSpace(a.body))
	}
	return a
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v\n%s", err, a.body)
	}
}

// services returns the saved services by label.
func (c *client) services(t *testing.T) map[string]appliance.VirtualService {
	t.Helper()
	var list []appliance.VirtualService
	a := c.must(t, 200, "GET", "virtual-services", "")
	if err := json.Unmarshal(a.body, &list); err != nil {
		var wrapped struct {
			Items []appliance.VirtualService `json:"virtual_services"`
		}
		a.into(t, &wrapped)
		list = wrapped.Items
	}
	out := map[string]appliance.VirtualService{}
	for _, s := range list {
		out[s.Label] = s
	}
	return out
}

// status returns the observed status of the service with that label.
func (c *client) status(t *testing.T, label string) appliance.ServiceStatus {
	t.Helper()
	var s appliance.Status
	c.must(t, 200, "GET", "status", "").into(t, &s)
	for _, service := range s.Services {
		if service.Label == label {
			return service
		}
	}
	t.Fatalf("no status of %s", label)
	return appliance.ServiceStatus{}
}

// allUp waits until every server of every service is up.
func (c *client) allUp(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "every server up", func() bool {
		var s appliance.Status
		a, err := c.try("GET", "status", "")
		if err != nil || a.status != 200 {
			return false
		}
		a.into(t, &s)
		for _, service := range s.Services {
			if service.Health != appliance.ServiceUp {
				return false
			}
		}
		return len(s.Services) > 0
	})
}
