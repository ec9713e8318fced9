package ui

import (
	"net/http"
	"testing"

	"evenkeel/appliance"
)

// fork lets the other node of a pair go on without the last revision of this one, which is passive then.
func (r *rig) fork() appliance.Fork {
	r.t.Helper()
	must := func(err error) {
		r.t.Helper()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, o := r.t.Context(), appliance.Origin{Operator: "system", Via: "pair"}
	whole, err := r.control.Shared(ctx, appliance.SharedState{})
	must(err)
	whole.From, whole.Common, whole.Revisions = "lb1", whole.Saved, nil
	give := func(sequence uint64) {
		r.t.Helper()
		standBy(r)
		_, err := r.control.Receive(ctx, o, "pair/lb1", sequence, whole)
		must(err)
	}
	give(1) // the first settings of a pair are no fork
	r.control.SetWriter(func() (bool, string, string) { return true, "", "" })
	lone, err := r.control.Commit(ctx, o, nil, func(c *appliance.Config) error {
		c.Cluster.VirtualServices[0].Label += "-alone"
		return nil
	})
	must(err)
	give(2)
	for _, f := range r.control.Forks() {
		if !f.Seen && f.Last == lone.Revision.Number {
			return f
		}
	}
	r.t.Fatalf("no fork: %+v", r.control.Forks())
	return appliance.Fork{}
}

func TestWhatWasSetAsideIsShownUntilItIsKeptOrDiscarded(t *testing.T) {
	r, f := beside(t, passiveStatus())
	viewer := r.operator("viewer-of-forks", appliance.Viewer)
	fork := r.fork()
	s := passiveStatus()
	s.Aside = []string{fork.Sentence("this node"), fork.Sentence("lb1")}
	f.show(s)
	_, _, body := r.get(r.client, pairPath)
	r.has(body, "Set aside, and not seen yet", fork.Sentence("this node"), fork.Sentence("lb1"), historyPath+"#set-aside")
	_, _, body = r.get(r.client, historyPath)
	r.has(body, "Set aside", fork.Sentence("this node"), "not seen yet", forkPath+"/"+fork.ID)
	_, _, body = r.get(r.client, forkPath+"/"+fork.ID)
	r.has(body, fork.Sentence("this node"), "-alone", "What would change if it ran", "RUNNING NOW", `id="keep-fork"`, `id="discard-fork"`)
	_, _, body = r.get(viewer, forkPath+"/"+fork.ID)
	r.has(body, "-alone", `!id="keep-fork"`)
	if status, _, _ := r.post(viewer, forkPath+"/"+fork.ID+"/keep"); status != http.StatusForbidden {
		t.Errorf("a viewer may keep: %d", status)
	}
	if status, h, _ := r.post(r.client, forkPath+"/"+fork.ID+"/keep"); status != http.StatusSeeOther || h.Get("Location") != historyPath {
		t.Errorf("%d to %s", status, h.Get("Location"))
	}
	_, _, body = r.get(r.client, historyPath)
	r.has(body, "the alarm has ended", fork.Sentence("this node"), "!not seen yet")
	_, _, body = r.get(r.client, forkPath+"/"+fork.ID+"/discard")
	r.has(body, fork.Sentence("this node"), "removed from this node for good")
	r.post(r.client, forkPath+"/"+fork.ID+"/discard")
	_, _, body = r.get(r.client, historyPath)
	r.has(body, "What was set aside is discarded", "!"+fork.Sentence("this node"))
	if status, _, _ := r.get(r.client, forkPath+"/"+fork.ID); status != http.StatusNotFound {
		t.Errorf("what was discarded is there: %d", status)
	}
}

func TestUnfinishedPairSaysWhatToDo(t *testing.T) {
	s := alone()
	s.Unfinished, s.Peer, s.Sentence = true, passiveStatus().Self, "The pair with lb2 at 192.168.0.12 is unfinished."
	r, f := beside(t, s)
	_, _, body := r.get(r.client, pairPath)
	r.has(body, s.Sentence, `id="give-up"`, "!Add new node")
	_, _, body = r.get(r.client, pairPath+"/break")
	r.has(body, "Give the pairing with lb2 up?", "stays alone")
	r.post(r.client, pairPath+"/break")
	if got := f.was(); len(got) != 1 || got[0] != "loadbalancer: break" {
		t.Errorf("asked %v", got)
	}
}
