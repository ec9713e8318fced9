// Package traffic writes the traffic log: one line for each request or session. A loop formats the line into a ring of its own and goes on; one goroutine takes
// the lines of all rings and gives them to a file, which turns over by size, and to a syslog receiver. Lines that are not taken in time are dropped, counted,
// and their number is said in the log itself.
package traffic

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// gather is how long the writer lets lines come together.
const gather = 50 * time.Millisecond

// Options of a Log. Every field may be zero.
type Options struct {
	Dir      string       // of the files; empty: none is kept
	Log      *slog.Logger // nil: silent
	Hostname string       // as receivers see it while the configuration names none; empty: the machine's
	// Alert is told of what stands in the way of the log, and Clear when that is over; nil: nobody is.
	Alert func(appliance.Alert)
	Clear func(code string)
}

// Log takes lines from the loops. Lane and Run are for the engine; the rest is safe for concurrent use.
type Log struct {
	options  Options
	log      *slog.Logger
	waking   chan struct{}
	lanes    []*Lane
	settings atomic.Pointer[settings]
	written  atomic.Uint64 // lines given to the file
	dropped  atomic.Uint64 // lines that were not taken in time and were told of

	mu    sync.Mutex // guards what follows
	file  *file
	fault string // of the file, told
	far   *remote
}

type settings struct {
	appliance.TrafficLog
	hostname string
}

// New returns a log without lanes. Nothing is opened before Run.
func New(o Options) *Log {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Hostname == "" {
		o.Hostname, _ = os.Hostname()
	}
	if o.Alert == nil {
		o.Alert = func(appliance.Alert) {}
	}
	if o.Clear == nil {
		o.Clear = func(string) {}
	}
	l := &Log{options: o, log: o.Log.With("component", "traffic"), waking: make(chan struct{}, 1), far: newRemote()}
	l.settings.Store(&settings{hostname: o.Hostname})
	if o.Dir != "" {
		l.file = &file{path: filepath.Join(o.Dir, FileName)}
	}
	return l
}

// Configure makes settings so from the next batch on.
func (l *Log) Configure(c *appliance.Local) {
	s := &settings{TrafficLog: c.TrafficLog, hostname: l.options.Hostname}
	if c.Hostname != "" {
		s.hostname = c.Hostname
	}
	l.settings.Store(s)
	l.wake()
}

// wake tells the writer that there is something to do; it never waits.
func (l *Log) wake() {
	select {
	case l.waking <- struct{}{}:
	default:
	}
}

// Run writes until the context ends, and then what is left.
func (l *Log) Run(ctx context.Context) {
	var sending sync.WaitGroup
	sending.Go(func() { l.far.run(ctx, l) })
	defer sending.Wait()
	defer l.closeFile()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var batch []byte
	for {
		select {
		case <-l.waking:
		case <-ctx.Done():
			l.write(l.collect(batch[:0]))
			return
		}
		timer.Reset(gather)
		select {
		case <-timer.C:
		case <-l.waking:
		case <-ctx.Done():
		}
		if batch = l.collect(batch[:0]); cap(batch) > 4*ringSize {
			l.write(batch)
			batch = nil
			continue
		}
		l.write(batch)
	}
}

// collect takes what waits in all rings, and says behind it how much was dropped.
func (l *Log) collect(batch []byte) []byte {
	dropped := uint64(0)
	for _, n := range l.lanes {
		batch = n.ring.take(batch)
		dropped += n.ring.dropped.Load()
	}
	if more := dropped - l.dropped.Load(); more > 0 {
		l.dropped.Store(dropped)
		l.log.Warn("traffic log lines dropped, they were not written in time", "lines", more)
		batch = fmt.Appendf(AppendStamp(batch, time.Now()), " dropped=%d why=\"the log was not written in time\"\n", more)
	}
	return batch
}

// write gives a batch of whole lines to whoever is to have it.
func (l *Log) write(batch []byte) {
	s := l.settings.Load()
	l.far.use(s)
	if len(batch) == 0 && !s.NoFile {
		return
	}
	if s.Remote != "" {
		l.far.queue(batch)
	}
	l.writeFile(s, batch)
}

// codeFile is the code of the alert that tells of a file that cannot be written.
const codeFile = "traffic_log_file"

func (l *Log) writeFile(s *settings, batch []byte) {
	if l.file == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.NoFile {
		l.file.close()
		l.tell("")
		return
	}
	lines, err := l.file.write(batch, s.Size(), s.Count())
	l.written.Add(uint64(lines))
	if err != nil {
		l.file.lost += uint64(countLines(batch) - lines)
		l.tell(fmt.Sprintf("The traffic log cannot be written: %v.", cause(err)))
		return
	}
	l.tell("")
}

// tell says once what stands in the way of the file, and once that it is over. The caller holds mu.
func (l *Log) tell(fault string) {
	switch {
	case fault == l.fault:
		return
	case fault == "":
		l.log.Info("traffic log is written again", "lines_lost", l.file.lost)
		l.options.Clear(codeFile)
	default:
		l.log.Warn("traffic log not written", "error", fault)
		l.options.Alert(appliance.Alert{Code: codeFile, Severity: appliance.Warning, Sentence: fault + " Traffic goes on.", Hint: "Look at the free space of the data folder's disk, or keep the log elsewhere (Local Configuration, Traffic log)."})
	}
	l.fault = fault
}

func (l *Log) closeFile() {
	if l.file == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.close()
}

// Dropped returns how many lines were lost because the log was not written in time.
func (l *Log) Dropped() (n uint64) {
	for _, lane := range l.lanes {
		n += lane.ring.dropped.Load()
	}
	return n + l.far.lost()
}
