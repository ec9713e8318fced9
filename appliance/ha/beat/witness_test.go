package beat

import (
	"testing"

	"evenkeel/appliance"
)

func TestAnswerCountsOnceAndOnlyWhenAsked(t *testing.T) {
	ring := ringOf(t, 1)
	me := Identity{Cluster: cluster, Self: left, Peer: right, Boot: 5, Nonce: 55}
	a, door := NewAsker(me, ring), NewAsked(cluster, [2]ID{left, right}, ring)
	var question, got Beat
	ask := func(sequence uint64) []byte {
		return a.Ask(make([]byte, Most), &Beat{Sequence: sequence, Says: 3})
	}
	first := ask(20)
	if node, reason := door.Read(first, &question); node != 0 || reason != OK || question.Says != 3 {
		t.Fatalf("the question of node %d is %v", node, reason)
	}
	if _, reason := door.Read(first, &question); reason != Replayed {
		t.Errorf("the question again is %v", reason)
	}
	answer := door.Answer(make([]byte, Most), &question, true)
	for name, tt := range map[string]struct {
		a     *Asker
		b     []byte
		known bool
		want  Reason
	}{
		"from elsewhere":         {a, answer, false, Source},
		"to the peer":            {NewAsker(Identity{Cluster: cluster, Self: right, Boot: 5}, ring), answer, true, Stranger},
		"to another pair":        {NewAsker(Identity{Cluster: 9, Self: left, Boot: 5}, ring), answer, true, Cluster},
		"before it was asked":    {NewAsker(me, ring), answer, true, Replayed},
		"with another's key":     {NewAsker(me, ringOf(t, 2)), answer, true, KeyID},
		"a question":             {a, first, true, Purpose},
		"in an earlier epoch":    {&Asker{me: Identity{Cluster: cluster, Self: left, Boot: 6}, ring: ring, asked: 30}, answer, true, Replayed},
		"with another's secret":  {&Asker{me: me, ring: twisted(t), asked: 30}, answer, true, Forged},
		"to a question answered": {&Asker{me: me, ring: ring, asked: 30, answered: 25}, answer, true, Replayed},
	} {
		if reason := tt.a.Read(tt.b, tt.known, &got); reason != tt.want {
			t.Errorf("%s: %v, want %v", name, reason, tt.want)
		}
	}
	if reason := a.Read(answer, true, &got); reason != OK || !got.Granted {
		t.Errorf("the answer is %v, granted %v", reason, got.Granted)
	}
	if reason := a.Read(answer, true, &got); reason != Replayed {
		t.Errorf("the answer again is %v", reason)
	}
	a.Renumber(6, 66)
	if _, reason := door.Read(ask(1), &question); reason != OK {
		t.Errorf("the first question of the next epoch is %v", reason)
	}
	if _, reason := door.Read(first, &question); reason != Replayed {
		t.Errorf("a question of the epoch before is %v", reason)
	}
}

// twisted holds another secret under the same number.
func twisted(t *testing.T) *Ring {
	k := secret(2)
	k.ID = 1
	r, err := NewRing([]appliance.HeartbeatKey{k})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWitnessAnswersNobodyElse(t *testing.T) {
	ring := ringOf(t, 1)
	question := NewAsker(Identity{Cluster: cluster, Self: left, Boot: 5, Nonce: 55}, ring).Ask(make([]byte, Most), &Beat{Sequence: 7})
	heart := sealed(t, sample())
	var got Beat
	for name, tt := range map[string]struct {
		door *Asked
		b    []byte
		want Reason
	}{
		"a heartbeat":           {NewAsked(cluster, [2]ID{left, right}, ring), heart, Purpose},
		"another pair":          {NewAsked(9, [2]ID{left, right}, ring), question, Cluster},
		"a third node":          {NewAsked(cluster, [2]ID{8, right}, ring), question, Stranger},
		"another key":           {NewAsked(cluster, [2]ID{left, right}, ringOf(t, 2)), question, KeyID},
		"with another's secret": {NewAsked(cluster, [2]ID{left, right}, twisted(t)), question, Forged},
	} {
		if _, reason := tt.door.Read(tt.b, &got); reason != tt.want {
			t.Errorf("%s: %v, want %v", name, reason, tt.want)
		}
	}
}
