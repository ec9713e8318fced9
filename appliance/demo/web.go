package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxEcho  = 64 << 20         // bytes that /echo repeats
	maxBytes = 16 << 30         // bytes that /bytes sends
	maxSlow  = 10 * time.Minute // what /slow waits
)

// web is an HTTP/1.1 server that names itself in the body of / and in the X-Sample header.
type web struct {
	http   http.Server
	label  string
	served *atomic.Int64
	block  []byte         // what /bytes repeats
	stop   func()         // ends every request
	conns  sync.WaitGroup // net/http does not wait for its goroutines, so this does
}

func newWeb(options Options, served *atomic.Int64) *web {
	w := &web{label: options.Label, served: served, block: make([]byte, 64<<10)}
	_, _ = rand.NewChaCha8([32]byte{}).Read(w.block)
	routes := http.NewServeMux()
	routes.HandleFunc("/", w.index)
	routes.HandleFunc("/healthz", w.healthz)
	routes.HandleFunc("/slow", w.slow)
	routes.HandleFunc("/bytes", w.bytes)
	routes.HandleFunc("/drip", w.drip)
	routes.HandleFunc("/hold", w.hold)
	routes.HandleFunc("/status", w.status)
	routes.HandleFunc("/headers", w.headers)
	routes.HandleFunc("POST /echo", w.echo)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.http = http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler:     w.named(routes), ConnState: w.count, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 1 << 20,
		ErrorLog: slog.NewLogLogger(options.Log.Handler(), slog.LevelDebug),
	}
	return w
}

func (w *web) run(listener net.Listener) error {
	err := w.http.Serve(listener)
	_ = w.close()
	w.conns.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return net.ErrClosed
	}
	return err
}

func (w *web) close() error {
	w.stop()
	err := w.http.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// count keeps track of connections: StateNew comes before Serve accepts the next one, the others when the goroutine ends.
func (w *web) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		w.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		w.conns.Done()
	}
}

// named puts the sample's name on every answer and counts it.
func (w *web) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Sample", w.label)
		w.served.Add(1)
		next.ServeHTTP(rw, r)
	})
}

// index names the sample: GET /anything.
func (w *web) index(rw http.ResponseWriter, r *http.Request) {
	plain(rw)
	fmt.Fprintf(rw, "%s\n%s %s\n", w.label, r.Method, r.URL.Path)
}

// healthz is for health checks.
func (w *web) healthz(rw http.ResponseWriter, _ *http.Request) {
	plain(rw)
	_, _ = io.WriteString(rw, "ok\n")
}

// slow answers after ?ms= milliseconds.
func (w *web) slow(rw http.ResponseWriter, r *http.Request) {
	ms, ok := number(rw, r, "ms", 1000, maxSlow.Milliseconds())
	if !ok || !pause(r, time.Duration(ms)*time.Millisecond) {
		return
	}
	w.index(rw, r)
}

// bytes sends ?n= bytes with a Content-Length: the same bytes each time.
func (w *web) bytes(rw http.ResponseWriter, r *http.Request) {
	n, ok := number(rw, r, "n", 1024, maxBytes)
	if !ok {
		return
	}
	rw.Header().Set("Content-Type", "application/octet-stream")
	rw.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	if r.Method == http.MethodHead {
		return
	}
	for n > 0 {
		m, err := rw.Write(w.block[:min(n, int64(len(w.block)))])
		if err != nil {
			return
		}
		n -= int64(m)
	}
}

// drip sends ?n= lines in chunks, ?ms= milliseconds apart.
func (w *web) drip(rw http.ResponseWriter, r *http.Request) {
	n, ok := number(rw, r, "n", 10, 1_000_000)
	if !ok {
		return
	}
	ms, ok := number(rw, r, "ms", 100, maxSlow.Milliseconds())
	if !ok {
		return
	}
	plain(rw)
	for i := range n {
		if _, err := fmt.Fprintf(rw, "%s %d\n", w.label, i); err != nil || http.NewResponseController(rw).Flush() != nil {
			return
		}
		if !pause(r, time.Duration(ms)*time.Millisecond) {
			return
		}
	}
}

// hold sends the beginning of an answer and then nothing until the client or the sample goes.
func (w *web) hold(rw http.ResponseWriter, r *http.Request) {
	plain(rw)
	_, _ = fmt.Fprintf(rw, "%s holds\n", w.label)
	if http.NewResponseController(rw).Flush() == nil {
		<-r.Context().Done()
	}
}

// status answers with ?code=.
func (w *web) status(rw http.ResponseWriter, r *http.Request) {
	code, ok := number(rw, r, "code", 200, 599)
	if !ok {
		return
	}
	if code < 200 {
		http.Error(rw, "code must be 200 to 599", http.StatusBadRequest)
		return
	}
	plain(rw)
	rw.WriteHeader(int(code))
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintf(rw, "%s %d\n", w.label, code)
	}
}

// headers answers with the request as it came: headers, host, client.
func (w *web) headers(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(rw)
	out.SetIndent("", "  ")
	_ = out.Encode(map[string]any{
		"sample": w.label, "method": r.Method, "path": r.URL.RequestURI(), "protocol": r.Proto, "host": r.Host, "client": r.RemoteAddr, "headers": r.Header,
	})
}

// echo answers with the body of the request.
func (w *web) echo(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxEcho))
	if err != nil {
		http.Error(rw, "the body is too long, or did not come whole", http.StatusRequestEntityTooLarge)
		return
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	rw.Header().Set("Content-Type", kind)
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = rw.Write(body)
}

func plain(rw http.ResponseWriter) { rw.Header().Set("Content-Type", "text/plain; charset=utf-8") }

// number returns a parameter of the query, or answers 400.
func number(rw http.ResponseWriter, r *http.Request, name string, otherwise, limit int64) (int64, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > limit {
		http.Error(rw, fmt.Sprintf("%s must be a number from 0 to %d", name, limit), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}

// pause waits and reports whether the client is still there.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
