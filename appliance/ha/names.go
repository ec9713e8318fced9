package ha

// names are what the two nodes are called in sentences and in the timeline.
type names struct{ self, peer string }

// Name says what the nodes are called from now on; New takes the names of the membership. What the timeline has keeps the names of its time.
func (n *Node) Name(self, peer string) { n.called.Store(&names{self, peer}) }

func (n *Node) named() names { return *n.called.Load() }
