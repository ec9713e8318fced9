package compress

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestTheClientsWishIsObeyed(t *testing.T) {
	for accept, want := range map[string]Coding{
		"": Identity, "gzip": Gzip, "GZIP": Gzip, "x-gzip": Gzip, "gzip, deflate, br, zstd": Zstd, "gzip, br": Brotli, "gzip;q=1, br;q=0.5": Gzip,
		"gzip;q=0": Identity, "*": Zstd, "*;q=0": Identity, "*, zstd;q=0": Brotli, "identity;q=1, gzip;q=0.5": Identity, "identity;q=0.5, gzip;q=0.5": Gzip,
		"gzip;q=1.5": Identity, "gzip;q=": Identity, "gzip;q=0.0001": Identity, "gzip;x=1": Identity, "deflate": Identity, ",,gzip ;q=0.1,": Gzip, "g zip": Identity,
		"br;q=0.001": Brotli, "gzip; q=0.8": Gzip, "gzip;Q=1": Gzip,
	} {
		if got := Choose([]byte(accept)); got != want {
			t.Errorf("%q: %v, not %v", accept, got, want)
		}
	}
}

func TestOnlyTextIsWorthIt(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/html; charset=utf-8": true, "TEXT/CSS": true, "application/json": true, "image/svg+xml": true, "application/fhir+json": true,
		"image/png": false, "application/dicom": false, "application/zip": false, "text/event-stream": false, "": false, "text": false, "video/mp4": false,
	} {
		if got := Compressible([]byte(kind)); got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

func decode(t *testing.T, c Coding, b []byte) io.Reader {
	t.Helper()
	switch c {
	case Gzip:
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return r
	case Brotli:
		return brotli.NewReader(bytes.NewReader(b))
	}
	r, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestEveryCodingGivesBackTheBody(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var pool Pool
	for round := range 60 {
		body := []byte(strings.Repeat("all the same ", random.IntN(20000)))
		if round%3 == 0 {
			for i := range body {
				body[i] = byte(random.Uint32())
			}
		}
		for c := Gzip; c <= Zstd; c++ {
			e := pool.Get(c)
			var out []byte
			for rest := body; len(rest) > 0; {
				n := 1 + random.IntN(len(rest))
				out = e.Append(out, rest[:n], random.IntN(2) == 0)
				rest = rest[n:]
			}
			out = e.End(out)
			pool.Put(e)
			got, err := io.ReadAll(decode(t, c, out))
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%v, round %d: %d of %d bytes, %v", c, round, len(got), len(body), err)
			}
		}
	}
	if pool.used != 0 {
		t.Errorf("%d encoders are still in use", pool.used)
	}
}

func TestWhatIsFlushedCanBeRead(t *testing.T) {
	for c := Gzip; c <= Zstd; c++ {
		var pool Pool
		e := pool.Get(c)
		out := e.Append(nil, []byte("first part"), true)
		got := make([]byte, len("first part"))
		if _, err := io.ReadFull(decode(t, c, out), got); err != nil || string(got) != "first part" {
			t.Errorf("%v: %q %v", c, got, err)
		}
	}
}

func TestAnAbandonedEncoderBeginsAnew(t *testing.T) {
	var pool Pool
	for c := Gzip; c <= Zstd; c++ {
		e := pool.Get(c)
		e.Append(nil, []byte("half of something"), false)
		pool.Put(e)
		e = pool.Get(c)
		out := e.End(e.Append(nil, []byte("whole"), false))
		if got, err := io.ReadAll(decode(t, c, out)); err != nil || string(got) != "whole" {
			t.Errorf("%v: %q %v", c, got, err)
		}
	}
}

func TestThePoolIsBounded(t *testing.T) {
	var pool Pool
	for range MaxEncoders {
		if pool.Get(Gzip) == nil {
			t.Fatal("too few")
		}
	}
	if pool.Get(Gzip) != nil || pool.Get(Identity) != nil {
		t.Error("too many")
	}
}

func FuzzChoose(f *testing.F) {
	f.Add([]byte("gzip;q=0.5, br, *;q=0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := Choose(b); c > Zstd {
			t.Error(c)
		}
		Compressible(b)
	})
}
