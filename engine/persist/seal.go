package persist

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// A cookie's value is base64url of nonce and AES-GCM ciphertext; sealed are the server's tag, when the cookie was first given and when it was last renewed
// (seconds). The service's id is authenticated with it, so that a cookie is worth nothing at another service.
const (
	nonceSize  = 12
	plainSize  = 8 + 4 + 4
	sealedSize = nonceSize + plainSize + 16
	// ValueSize is the length of every cookie's value.
	ValueSize = (sealedSize*8 + 5) / 6
	// skew is how far the clocks of two appliances may differ.
	skew = 5 * time.Minute
)

// SealerOptions are what a Sealer is made of.
type SealerOptions struct {
	Key     [32]byte // of the appliance, or of the pair
	Service string   // id
	Servers []string // ids that a cookie may lead to
	Idle    time.Duration
	Life    time.Duration
}

// Sealer makes and opens the persistence cookies of one service with one set of servers; a changed service gets a new one. Cookies of an older Sealer with the
// same key stay good.
type Sealer struct {
	aead    cipher.AEAD
	service []byte
	idle    time.Duration
	life    time.Duration
	servers map[uint64]string
	tags    map[string]uint64
	buffers sync.Pool // of *sealBuffer
}

// Opened is what a cookie says.
type Opened struct {
	Server  string
	Issued  time.Time // when the client got its first cookie
	Renewal bool      // the client should get a renewed cookie: a tenth of the idle time has gone
}

type sealBuffer struct {
	sealed [sealedSize]byte
	plain  [plainSize]byte
}

// NewSealer returns a Sealer.
func NewSealer(o SealerOptions) *Sealer {
	block, err := aes.NewCipher(derive(o.Key, "cookie"))
	if err != nil {
		panic("persist: AES key of a wrong size") // 32 bytes are right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("persist: GCM without its block size")
	}
	s := &Sealer{
		aead: aead, service: []byte(o.Service), idle: o.Idle, life: o.Life,
		servers: map[uint64]string{}, tags: map[string]uint64{},
		buffers: sync.Pool{New: func() any { return &sealBuffer{} }},
	}
	for _, id := range o.Servers {
		tag := binary.BigEndian.Uint64(derive(o.Key, "server\x00"+o.Service+"\x00"+id))
		s.servers[tag], s.tags[id] = id, tag
	}
	return s
}

func derive(key [32]byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("evenkeel persistence "))
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// Append appends the value of a cookie that leads to server. issued is zero for a client that has none yet, else what Open said. An unknown server appends nothing.
func (s *Sealer) Append(dst []byte, server string, issued, now time.Time) []byte {
	tag, ok := s.tags[server]
	if !ok {
		return dst
	}
	if issued.IsZero() {
		issued = now
	}
	b := s.buffers.Get().(*sealBuffer)
	defer s.buffers.Put(b)
	binary.BigEndian.PutUint64(b.plain[:], tag)
	binary.BigEndian.PutUint32(b.plain[8:], uint32(issued.Unix()))
	binary.BigEndian.PutUint32(b.plain[12:], uint32(now.Unix()))
	rand.Read(b.sealed[:nonceSize])
	s.aead.Seal(b.sealed[:nonceSize], b.sealed[:nonceSize], b.plain[:], s.service)
	return base64.RawURLEncoding.AppendEncode(dst, b.sealed[:])
}

// Open returns what a cookie says; false when it is forged, of another service, for a server that is gone, unused for longer than the idle time, or older than
// its life.
func (s *Sealer) Open(value []byte, now time.Time) (Opened, bool) {
	if len(value) != ValueSize {
		return Opened{}, false
	}
	b := s.buffers.Get().(*sealBuffer)
	defer s.buffers.Put(b)
	if n, err := base64.RawURLEncoding.Strict().Decode(b.sealed[:], value); err != nil || n != sealedSize {
		return Opened{}, false
	}
	plain, err := s.aead.Open(b.plain[:0], b.sealed[:nonceSize], b.sealed[nonceSize:], s.service)
	if err != nil {
		return Opened{}, false
	}
	server, ok := s.servers[binary.BigEndian.Uint64(plain)]
	issued, used := int64(binary.BigEndian.Uint32(plain[8:])), int64(binary.BigEndian.Uint32(plain[12:]))
	age, unused := seconds(now.Unix()-issued), seconds(now.Unix()-used)
	if !ok || unused < -skew || age < -skew || unused >= s.idle || age >= s.life {
		return Opened{}, false
	}
	return Opened{server, time.Unix(issued, 0), unused > 0 && unused >= s.idle/10}, true
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// AppendSetCookie appends the value of a Set-Cookie header.
func AppendSetCookie(dst []byte, name string, value []byte, secure bool) []byte {
	dst = append(dst, name...)
	dst = append(dst, '=')
	dst = append(dst, value...)
	dst = append(dst, "; Path=/; HttpOnly; SameSite=Lax"...)
	if secure {
		dst = append(dst, "; Secure"...)
	}
	return dst
}
