// Package rings keeps what was counted of every service and server over time, in one file of bounded size: rings of 10 s for 6 h, 1 min for 2 d, 10 min for 30 d
// and 2 h for 2 y. It looks every 10 s and writes one point of 20 bytes for each; coarser points are made of finer ones that are in the file already, so that
// a restart loses nothing but the stretch it fell into. Nothing of it is on the data path; a file that cannot be written costs points only.
package rings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
)

// Options of Rings; Path and Source are required.
type Options struct {
	Path   string
	Source func() []stats.Measure // what is counted now; each service before its servers
	Log    *slog.Logger           // nil: silent
	Now    func() time.Time       // nil: time.Now
	// Alert is told of what stands in the way, and Clear when that is over; nil: nobody is.
	Alert func(appliance.Alert)
	Clear func(code string)
}

// Rings is safe for concurrent use. Run is called once.
type Rings struct {
	options Options
	log     *slog.Logger
	last    map[key]stats.Measure // of the look before; Run's
	lastAt  time.Time
	folded  []uint32 // the last stretch of each level that was folded; Run's

	mu    sync.Mutex // guards what follows
	file  *file      // nil while it cannot be opened
	over  bool       // Run has ended
	fault string     // that was told
}

// New returns rings; the file is opened by Run.
func New(o Options) *Rings {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alert == nil {
		o.Alert = func(appliance.Alert) {}
	}
	if o.Clear == nil {
		o.Clear = func(string) {}
	}
	return &Rings{options: o, log: o.Log.With("component", "statistics"), last: map[key]stats.Measure{}, folded: make([]uint32, len(levels()))}
}

// Run looks every 10 s until the context ends. It returns nil.
func (r *Rings) Run(ctx context.Context) error {
	step := levels()[0].step
	defer r.close()
	for {
		now := r.options.Now()
		timer := time.NewTimer(now.Truncate(step).Add(step).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			r.look()
		}
	}
}

func (r *Rings) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.file != nil {
		r.file.open.Close()
		r.file = nil
	}
}

const (
	codeFile    = "statistics_file"
	codeDamaged = "statistics_damaged"
)

// look writes the points of the stretch that has just ended.
func (r *Rings) look() {
	now := r.options.Now()
	measures := r.options.Source()
	slices.SortStableFunc(measures, func(a, b stats.Measure) int { return min(len(a.Server), 1) - min(len(b.Server), 1) }) // services first: there may not be room for all
	err := r.write(now, measures)
	fresh := make(map[key]stats.Measure, len(measures))
	for i := range measures {
		fresh[key{measures[i].Service, measures[i].Server}] = measures[i]
	}
	r.last, r.lastAt = fresh, now
	r.tell(err)
}

func (r *Rings) tell(err error) {
	fault := ""
	if err != nil {
		fault = fmt.Sprintf("The statistics cannot be written: %v.", rootOf(err))
	}
	r.mu.Lock()
	before := r.fault
	r.fault = fault
	r.mu.Unlock()
	switch {
	case fault == before:
	case fault == "":
		r.log.Info("statistics are written again")
		r.options.Clear(codeFile)
	default:
		r.log.Warn("statistics not written", "error", err)
		r.options.Alert(appliance.Alert{Code: codeFile, Severity: appliance.Warning, Sentence: fault + " Traffic goes on; the graphs have a gap.", Hint: "Look at the free space of the data folder's disk."})
	}
}

// rootOf is what the kernel said.
func rootOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// write puts a point of each measure into the finest ring and folds what is complete.
func (r *Rings) write(now time.Time, measures []stats.Measure) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ensure(now); err != nil {
		return err
	}
	finest := levels()[0]
	stamp := stampOf(now, finest) - 1
	today := uint32(now.Unix() / (24 * 3600))
	for i := range measures {
		m := &measures[i]
		k := key{m.Service, m.Server}
		series, err := r.file.place(k, today)
		if err != nil {
			return err
		}
		before, known := r.last[k]
		if series < 0 || r.lastAt.IsZero() || now.Sub(r.lastAt) > 3*finest.step || !now.After(r.lastAt) {
			continue
		}
		if !known { // it began to run within the stretch
			before = stats.Measure{Up: m.Up}
		}
		p := between(stamp, &before, m, now.Sub(r.lastAt).Seconds())
		if err := r.file.write(series, finest, &p); err != nil {
			return err
		}
	}
	return r.fold(now)
}

func stampOf(t time.Time, l level) uint32 { return uint32(t.Unix() / int64(l.step/time.Second)) }

// ensure opens the file; one that is damaged is set aside.
func (r *Rings) ensure(now time.Time) error {
	if r.file != nil {
		return nil
	}
	f, err := openFile(r.options.Path)
	if errors.Is(err, errDamaged) {
		aside, renameErr := setAside(r.options.Path, now)
		if renameErr != nil {
			return renameErr
		}
		r.log.Error("statistics begun anew, their file was damaged", "kept_as", aside)
		r.options.Alert(appliance.Alert{
			Code: codeDamaged, Severity: appliance.Warning, Sentence: "The file of the statistics was damaged; they begin anew.", Hint: "What was left of it is kept as " + filepath.Base(aside) + " in the data folder.",
		})
		f, err = openFile(r.options.Path)
	}
	r.file = f
	return err
}

// fold makes the coarser points of every stretch that has ended since the last time; at first, of all that the finer ring still holds.
func (r *Rings) fold(now time.Time) error {
	all := levels()
	for i := 1; i < len(all); i++ {
		finer, coarse := all[i-1], all[i]
		last := stampOf(now, coarse) - 1
		first := r.folded[i] + 1
		if r.folded[i] == 0 {
			first = last - uint32(finer.step*time.Duration(finer.count)/coarse.step) + 2
		}
		if first > last {
			continue
		}
		for _, series := range r.file.places {
			if err := r.foldSeries(series, finer, coarse, first, last); err != nil {
				return err
			}
		}
		r.folded[i] = last
	}
	return nil
}

func (r *Rings) foldSeries(series int, finer, coarse level, first, last uint32) error {
	each := uint32(coarse.step / finer.step)
	parts, err := r.file.read(series, finer, first*each, last*each+each-1)
	if err != nil {
		return err
	}
	for len(parts) > 0 {
		stamp := parts[0].stamp / each
		n := 1
		for n < len(parts) && parts[n].stamp/each == stamp {
			n++
		}
		p := fold(stamp, parts[:n])
		if err := r.file.write(series, coarse, &p); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return nil
}

// Points returns what is kept of a service (server empty) or of a server over a period, the oldest first; stretches of which nothing is known are missing.
// kept tells whether there is a place for it at all.
func (r *Rings) Points(service, server string, period appliance.Period) (points []appliance.Point, kept bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.ensure(r.options.Now()) != nil { // Run tells what is wrong with the file
		return nil, true, nil
	}
	series, kept := r.file.places[key{service, server}]
	if !kept {
		return nil, false, nil
	}
	for _, l := range levels() {
		if l.step != period.Step() {
			continue
		}
		last := stampOf(r.options.Now(), l)
		some, err := r.file.read(series, l, last-uint32(period.Length()/l.step), last)
		if err != nil {
			return nil, true, &appliance.Error{Kind: appliance.Unavailable, Op: "read statistics", Message: "The statistics cannot be read.", Err: err}
		}
		for i := range some {
			points = append(points, some[i].shown(l.step))
		}
	}
	return points, true, nil
}
