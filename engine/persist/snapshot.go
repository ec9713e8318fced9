package persist

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"evenkeel/appliance"
)

// A snapshot is: magic and version; wall clock (ns); number of servers, each a length and its id; number of entries, each 16 bytes of address or digest, bits, kind,
// server, time since its last use and since it was made (ns); SHA-256 of all that. Numbers are big-endian. Version 1 had neither kind nor the time since it was made.
const (
	snapshotMagic  = "EKPT\x00\x02"
	snapshotMagic1 = "EKPT\x00\x01"
	entrySize      = 16 + 1 + 1 + 4 + 8 + 8
	entrySize1     = 16 + 1 + 4 + 8
)

// Snapshot returns the table as bytes for Load, in this process or the next.
func (t *Table) Snapshot(now int64, wall time.Time) []byte {
	t.expire(now)
	out := make([]byte, 0, 4096+t.Len()*entrySize+sha256.Size)
	out = append(out, snapshotMagic...)
	out = binary.BigEndian.AppendUint64(out, uint64(wall.UnixNano()))
	list := t.servers.known.Load().list // none is taken away, so that every number below its length has a name
	out = binary.BigEndian.AppendUint32(out, uint32(len(list)))
	for _, s := range list {
		out = binary.BigEndian.AppendUint16(out, uint16(len(s.server)))
		out = append(out, s.server...)
	}
	at, entries := len(out), 0
	out = append(out, 0, 0, 0, 0)
	t.copies(func(rows []row) {
		for _, r := range rows {
			if int(r.server) < len(list) { // else it came meanwhile
				out = r.append(out, now)
				entries++
			}
		}
	})
	binary.BigEndian.PutUint32(out[at:], uint32(entries))
	return append(out, sumOf(out, t.turn)...)
}

func (r *row) append(out []byte, now int64) []byte {
	out = append(out, r.key.value[:]...)
	out = append(out, r.key.bits, byte(r.key.kind))
	out = binary.BigEndian.AppendUint32(out, r.server)
	out = binary.BigEndian.AppendUint64(out, uint64(max(now-r.last, 0)))
	return binary.BigEndian.AppendUint64(out, uint64(max(now-r.born, 0)))
}

// sumOf is SHA-256 in pieces: the whole at once would hold up everybody when the collector wants to begin.
func sumOf(b []byte, turn func()) []byte {
	h := sha256.New()
	for len(b) > 0 {
		n := min(len(b), 256<<10)
		h.Write(b[:n])
		b = b[n:]
		turn()
	}
	return h.Sum(nil)
}

// Load adds the entries of a snapshot, aged by the time that went by since; what has expired is left out, and what the table has already stays.
// known, when not nil, says which servers still exist. An error of kind Invalid changes nothing.
func (t *Table) Load(b []byte, now int64, wall time.Time, known func(server string) bool) error {
	saved, servers, rows, ok := parseSnapshot(b)
	if !ok {
		return &appliance.Error{Kind: appliance.Invalid, Op: "load persistence table", Message: "The saved persistence table is damaged; it was not used."}
	}
	elapsed := max(wall.UnixNano()-saved, 0) // a clock that was set back does not make entries younger
	s := t.settings.Load()
	var all []row
	t.copies(func(rows []row) { all = append(all, rows...) })
	for _, r := range rows {
		age := r.last + elapsed
		server := servers[r.server]
		if age < 0 || age >= int64(s.Timeout) || known != nil && !known(server) {
			continue
		}
		all = append(all, row{r.key, t.servers.number(server), now - age, now - max(r.born+elapsed, age)})
	}
	t.rebuild(all, s)
	return nil
}

// rebuild fills the table anew in the order of use; the first row of a client wins.
func (t *Table) rebuild(rows []row, s *Settings) {
	seen := make(map[Key]bool, len(rows))
	kept := rows[:0]
	for _, r := range rows {
		if !seen[r.key] {
			seen[r.key] = true
			kept = append(kept, r)
		}
	}
	sortRows(kept)
	t.Clear()
	for _, r := range kept[max(len(kept)-s.Size, 0):] {
		t.put(r, s, false)
	}
}

// parseSnapshot reads a snapshot of unknown origin; the rows hold times since instead of times.
func parseSnapshot(b []byte) (wall int64, servers []string, rows []row, ok bool) {
	if len(b) < len(snapshotMagic)+sha256.Size {
		return 0, nil, nil, false
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	magic := string(body[:len(snapshotMagic)])
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) || magic != snapshotMagic && magic != snapshotMagic1 {
		return 0, nil, nil, false
	}
	size, first := uint64(entrySize), magic == snapshotMagic1
	if first {
		size = entrySize1
	}
	r := reader{b: body[len(snapshotMagic):]}
	wall = int64(r.number(8))
	for n := r.number(4); n > 0 && !r.short; n-- {
		servers = append(servers, string(r.bytes(int(r.number(2)))))
	}
	n := r.number(4)
	if r.short || n*size != uint64(len(r.b)) {
		return 0, nil, nil, false
	}
	rows = make([]row, 0, n)
	for range n {
		e := r.row(first)
		if int(e.server) >= len(servers) || !e.key.valid() || e.last < 0 || e.born < 0 {
			return 0, nil, nil, false
		}
		rows = append(rows, e)
	}
	return wall, servers, rows, true
}

// row reads an entry; first says that it is of version 1.
func (r *reader) row(first bool) (e row) {
	copy(e.key.value[:], r.bytes(16))
	e.key.bits = uint8(r.number(1))
	if !first {
		e.key.kind = Kind(r.number(1))
	}
	e.server, e.last = uint32(r.number(4)), int64(r.number(8))
	if e.born = e.last; !first {
		e.born = int64(r.number(8))
	}
	return e
}

// reader takes numbers off b; once it was short, all it returns is zero.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) bytes(n int) []byte {
	if r.short || n > len(r.b) {
		r.short = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) number(size int) uint64 {
	var n uint64
	for _, c := range r.bytes(size) {
		n = n<<8 | uint64(c)
	}
	return n
}
