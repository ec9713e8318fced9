package rings

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// A level is one of a series' four rings.
type level struct {
	step  time.Duration
	count int // points
	at    int // points before it in the series
}

// levels are the rings of every series: 10 s for 6 h, 1 min for 2 d, 10 min for 30 d, 2 h for 2 y.
func levels() []level {
	return []level{{10 * time.Second, 2160, 0}, {time.Minute, 2880, 2160}, {10 * time.Minute, 4320, 5040}, {2 * time.Hour, 8760, 9360}}
}

const (
	magic      = "EVKL rings 1\n"
	headSize   = 4096
	entrySize  = 96 // of the directory: two ids of 40 bytes, when it was last seen
	idSize     = 40
	seriesSize = 18120 * pointSize

	// MaxSeries is how many services and servers are kept: services first, then servers in the order of the configuration.
	MaxSeries = 2000
	dataAt    = headSize + MaxSeries*entrySize
	// MaxSize is the size that the file never exceeds, in bytes: 725 MB. Of 1,000 services with 10 servers each, all services and 1,000 servers are kept. The file
	// is sparse: a series takes room as its rings fill, 354 KB at the end.
	MaxSize = dataAt + MaxSeries*seriesSize
)

// key names a series.
type key struct{ service, server string }

// entry is a place in the directory.
type entry struct {
	key
	seen uint32 // days since 1970; 0: the place is free
}

// file is the open file with its directory. It belongs to whoever holds the rings' lock.
type file struct {
	open    *os.File
	entries []entry
	places  map[key]int
}

var errDamaged = errors.New("it is damaged")

// openFile opens or makes the file; errDamaged: what is there cannot be used.
func openFile(path string) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	open, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f := &file{open: open, entries: make([]entry, MaxSeries), places: map[key]int{}}
	if err := f.begin(); err != nil {
		open.Close()
		return nil, err
	}
	return f, nil
}

func (f *file) begin() error {
	stat, err := f.open.Stat()
	if err != nil {
		return err
	}
	if stat.Size() == 0 {
		head := make([]byte, dataAt)
		copy(head, magic)
		_, err := f.open.WriteAt(head, 0)
		return err
	}
	head := make([]byte, dataAt)
	if _, err := f.open.ReadAt(head, 0); errors.Is(err, io.EOF) {
		return errDamaged
	} else if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte(magic)) || stat.Size() > MaxSize {
		return errDamaged
	}
	for i := range f.entries {
		if err := f.entries[i].decode(head[headSize+i*entrySize:][:entrySize]); err != nil {
			return err
		}
		if e := f.entries[i]; e.seen != 0 {
			if _, twice := f.places[e.key]; twice {
				return errDamaged
			}
			f.places[e.key] = i
		}
	}
	return nil
}

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

func (e *entry) decode(b []byte) error {
	service, server := bytes.TrimRight(b[:idSize], "\x00"), bytes.TrimRight(b[idSize:2*idSize], "\x00")
	e.seen = binary.LittleEndian.Uint32(b[2*idSize:])
	if e.seen == 0 {
		return nil
	}
	e.key = key{string(service), string(server)}
	if !e.valid() {
		return errDamaged
	}
	return nil
}

func (k key) valid() bool {
	return validID.MatchString(k.service) && (k.server == "" || validID.MatchString(k.server))
}

// place returns where a series stands, making room for it if need be; -1: there is none. today counts days since 1970.
func (f *file) place(k key, today uint32) (int, error) {
	if i, ok := f.places[k]; ok {
		if f.entries[i].seen == today {
			return i, nil
		}
		return i, f.enter(i, k, today)
	}
	if !k.valid() { // it would not be read again
		return -1, nil
	}
	chosen := -1
	for i := range f.entries {
		e := &f.entries[i]
		if e.seen == 0 {
			chosen = i
			break
		}
		if e.seen < today && (chosen < 0 || e.seen < f.entries[chosen].seen) { // the one that is gone for longest
			chosen = i
		}
	}
	if chosen < 0 {
		return -1, nil
	}
	if f.entries[chosen].seen != 0 {
		delete(f.places, f.entries[chosen].key)
		f.entries[chosen] = entry{}
		if _, err := f.open.WriteAt(make([]byte, seriesSize), f.at(chosen)); err != nil { // or its points would be taken for the new one's
			return -1, err
		}
	}
	return chosen, f.enter(chosen, k, today)
}

func (f *file) enter(i int, k key, today uint32) error {
	b := make([]byte, entrySize)
	copy(b, k.service)
	copy(b[idSize:], k.server)
	binary.LittleEndian.PutUint32(b[2*idSize:], today)
	if _, err := f.open.WriteAt(b, int64(headSize+i*entrySize)); err != nil {
		return err
	}
	f.entries[i] = entry{k, today}
	f.places[k] = i
	return nil
}

func (f *file) at(series int) int64 { return dataAt + int64(series)*seriesSize }

// write puts a point into its ring.
func (f *file) write(series int, l level, p *point) error {
	var b [pointSize]byte
	p.encode(b[:])
	_, err := f.open.WriteAt(b[:], f.at(series)+int64(l.at+int(p.stamp)%l.count)*pointSize)
	return err
}

// read returns the points of stretches from first to last that are there, in order.
func (f *file) read(series int, l level, first, last uint32) ([]point, error) {
	if last < first {
		return nil, nil
	}
	first = max(first, last-min(last, uint32(l.count-1)))
	var out []point
	for first <= last { // two parts where the ring begins again
		slot := int(first) % l.count
		n := min(int(last-first)+1, l.count-slot)
		b := make([]byte, n*pointSize)
		got, err := f.open.ReadAt(b, f.at(series)+int64(l.at+slot)*pointSize)
		if err != nil && !errors.Is(err, io.EOF) { // behind the end of a sparse file there is nothing
			return nil, err
		}
		for i := range got / pointSize {
			if p := decode(b[i*pointSize:]); p.stamp == first+uint32(i) && p.stamp != 0 {
				out = append(out, p)
			}
		}
		first += uint32(n)
	}
	return out, nil
}

// setAside moves a damaged file out of the way and returns where to.
func setAside(path string, now time.Time) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format("20060102T150405Z"))
	return aside, os.Rename(path, aside)
}
