package loop

import "evenkeel/engine/wire"

// tasks are what is to be done in the next turn.
type tasks struct {
	list  []wire.Task
	spare []wire.Task // the other half of list
}

// Soon implements wire.Loop.
func (l *Loop) Soon(t wire.Task) { l.tasks.list = append(l.tasks.list, t) }

// run does what was asked for before this turn; what a task asks for waits for the next.
func (k *tasks) run(l *Loop) {
	if len(k.list) == 0 {
		return
	}
	list := k.list
	k.list = k.spare[:0]
	for i, t := range list {
		list[i] = nil
		l.runTask(t)
	}
	k.spare = list[:0]
}

// runTask is guarded by itself: the others must have their turn too.
func (l *Loop) runTask(t wire.Task) {
	defer l.survive()
	l.current = nil
	t.Run()
}
