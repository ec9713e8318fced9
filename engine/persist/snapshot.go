package persist

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"evenkeel/appliance"
)

// A snapshot is: magic and version; wall clock (ns); number of servers, each a length and its id; number of entries, each address, bits, server and age (ns),
// oldest first; SHA-256 of all that. Numbers are big-endian.
const (
	snapshotMagic = "EKPT\x00\x01"
	entrySize     = 16 + 1 + 4 + 8
)

// Snapshot returns the table as bytes for Load, in this process or the next.
func (t *Table) Snapshot(now int64, wall time.Time) []byte {
	t.expire(now)
	rows := t.rows()
	list := t.servers.known.Load().list
	out := make([]byte, 0, 64+len(list)*48+len(rows)*entrySize+sha256.Size)
	out = append(out, snapshotMagic...)
	out = binary.BigEndian.AppendUint64(out, uint64(wall.UnixNano()))
	out = binary.BigEndian.AppendUint32(out, uint32(len(list)))
	for _, s := range list {
		out = binary.BigEndian.AppendUint16(out, uint16(len(s.server)))
		out = append(out, s.server...)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(rows)))
	for _, r := range rows {
		out = append(out, r.key.address[:]...)
		out = append(out, r.key.bits)
		out = binary.BigEndian.AppendUint32(out, r.server)
		out = binary.BigEndian.AppendUint64(out, uint64(max(now-r.last, 0)))
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
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
	old := t.rows()
	for _, r := range rows {
		age := r.last + elapsed
		server := servers[r.server]
		if age < 0 || age >= int64(s.Timeout) || known != nil && !known(server) {
			continue
		}
		old = append(old, row{r.key, t.servers.number(server), now - age})
	}
	t.rebuild(old, s)
	return nil
}

// rebuild fills the table anew in the order of use; the first row of a client wins.
func (t *Table) rebuild(rows []row, s *Settings) {
	seen := make(map[key]bool, len(rows))
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
		t.put(r.key, r.server, r.last, s)
	}
}

// parseSnapshot reads a snapshot of unknown origin; the rows hold the age instead of the time of the last use.
func parseSnapshot(b []byte) (wall int64, servers []string, rows []row, ok bool) {
	if len(b) < len(snapshotMagic)+sha256.Size {
		return 0, nil, nil, false
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) || string(body[:len(snapshotMagic)]) != snapshotMagic {
		return 0, nil, nil, false
	}
	r := reader{b: body[len(snapshotMagic):]}
	wall = int64(r.number(8))
	for n := r.number(4); n > 0 && !r.short; n-- {
		servers = append(servers, string(r.bytes(int(r.number(2)))))
	}
	n := r.number(4)
	if r.short || n*entrySize != uint64(len(r.b)) {
		return 0, nil, nil, false
	}
	rows = make([]row, 0, n)
	for range n {
		var e row
		copy(e.key.address[:], r.bytes(16))
		e.key.bits, e.server, e.last = uint8(r.number(1)), uint32(r.number(4)), int64(r.number(8))
		if int(e.server) >= len(servers) || e.key.bits > 128 || e.last < 0 || prefixKey(e.key.prefix()) != e.key {
			return 0, nil, nil, false
		}
		rows = append(rows, e)
	}
	return wall, servers, rows, true
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
