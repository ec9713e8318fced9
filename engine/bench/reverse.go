package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Reverse serves what the standard library's ReverseProxy can do, in turn over the servers, on one processor: many products are made of it.
func Reverse(ctx context.Context, base int) error {
	runtime.GOMAXPROCS(1)
	var all sync.WaitGroup
	defer all.Wait()
	for port, server := range map[int]int{webPort: webServer, midPort: midServer, bigPort: bigServer} {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+port))
		if err != nil {
			return err
		}
		s := &http.Server{Handler: reverseProxy(server), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 10 * time.Minute}
		all.Go(func() {
			<-ctx.Done()
			_ = s.Close()
		})
		all.Go(func() {
			if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				fmt.Println(err)
			}
		})
	}
	<-ctx.Done()
	return nil
}

func reverseProxy(server int) http.Handler {
	var turn atomic.Uint32
	list := make([]*url.URL, serverIPs)
	for i := range list {
		list[i] = &url.URL{Scheme: "http", Host: fmt.Sprintf("%s:%d", serverAddress(i), server)}
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(list[turn.Add(1)%serverIPs])
			r.SetXForwarded()
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
	}
}
