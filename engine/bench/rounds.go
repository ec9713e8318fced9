package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// pace is how a work is measured.
type pace struct {
	rounds int
	warm   time.Duration // before a measurement
	length time.Duration // of it
	settle time.Duration // for a contender to notice that its clients have left
}

// The rounds of a work that is short, see work.short.
const (
	shortRounds = 8 // for each of another work
	shortWarm   = 40 * time.Millisecond
	shortLength = 125 * time.Millisecond
)

func (o *Options) pace(w work) pace {
	switch {
	case w.once:
		return pace{1, o.Warm, o.Length, 200 * time.Millisecond}
	case w.short:
		return pace{shortRounds * o.Rounds, shortWarm, shortLength, 20 * time.Millisecond}
	}
	return pace{o.Rounds, o.Warm, o.Length, 200 * time.Millisecond}
}

// interleaved lets the contenders take turns. Every second round goes backwards, so that a machine that becomes slower or quicker favours nobody.
func (f *arena) interleaved(w work) (row, error) {
	f.pace, f.again = f.options.pace(w), map[string]int{}
	values := map[string][]float64{}
	order := slices.Clone(w.who)
	for range f.pace.rounds {
		for _, name := range order {
			c := f.contenders[name]
			if c == nil {
				continue
			}
			f.current = c
			v, err := w.run(c.base + w.port)
			if err != nil {
				return row{}, fmt.Errorf("%s of %s: %w", w.name, name, err)
			}
			values[name] = append(values[name], v)
		}
		slices.Reverse(order)
	}
	r := newRow(w, values)
	r.again = f.again
	return r, nil
}

// row is what one work came to.
type row struct {
	work
	figures   map[string]middle // by contender
	ratio     middle            // HAProxy ÷ Evenkeel of each round; zero if one of them is missing
	quotients []middle          // of work.beside, of each round
	again     map[string]int    // how many rounds were measured again because a processor stood still, by contender
}

// newRow summarises the values of every round, by contender. The ratio is taken within a round, because both were measured directly behind each other there: what
// slows the machine for longer than that slows both.
func newRow(w work, values map[string][]float64) row {
	r := row{work: w, figures: map[string]middle{}}
	for name, v := range values {
		r.figures[name] = middleOf(v)
	}
	r.ratio = quotients(values[haproxyName], values[oursName])
	for _, two := range w.beside {
		r.quotients = append(r.quotients, quotients(values[two[0]], values[two[1]]))
	}
	return r
}

// quotients are of each round; the zero middle if there are none.
func quotients(over, under []float64) middle {
	var list []float64
	for i, v := range over {
		if i < len(under) && under[i] > 0 {
			list = append(list, v/under[i])
		}
	}
	if len(list) == 0 {
		return middle{}
	}
	return middleOf(list)
}

func (r row) String() string {
	text := fmt.Sprintf("%-40s", r.name)
	for _, c := range r.who {
		if v, ok := r.figures[c]; ok {
			text += fmt.Sprintf("  %s %.3g (±%.0f %%)", c, v.median, v.spread())
		}
	}
	return strings.TrimSuffix(text+"  "+r.unit+"  ÷ "+r.quotient()+"\n"+r.notes(), "\n")
}

// quotient is HAProxy ÷ Evenkeel as text.
func (r row) quotient() string {
	if r.once && r.ratio != (middle{}) {
		return fmt.Sprintf("%.2f", r.ratio.median)
	}
	return r.ratio.String()
}

// notes are what is to be told of the row below the table.
func (r row) notes() string {
	var list []string
	for i, m := range r.quotients {
		two := r.beside[i]
		list = append(list, fmt.Sprintf("%s ÷ %s %s", two[0], two[1], m))
	}
	for _, name := range r.who {
		if n := r.again[name]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d rounds measured again", name, n))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s.\n", r.name, strings.Join(list, "; "))
}

// middle is the median of some values, and what the middle half of them reaches from and to.
type middle struct{ low, median, high float64 }

// middleOf leaves the values in their order, which says of which round they are.
func middleOf(values []float64) middle {
	v := slices.Sorted(slices.Values(values))
	last := len(v) - 1
	return middle{v[len(v)/4], (v[last/2] + v[len(v)/2]) / 2, v[last-len(v)/4]}
}

func (m middle) String() string {
	if m == (middle{}) {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", m.median, m.low, m.high)
}

// spread is half of the distance between low and high, in percent of the median.
func (m middle) spread() float64 { return 50 * (m.high - m.low) / m.median }
