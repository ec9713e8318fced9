package relay

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

func TestEverySessionIsRecordedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		servers []string
		play    func(d *desk, client *wiretest.Conn, core wire.Core)
		want    string
	}{
		"done": {[]string{"a"}, func(d *desk, client *wiretest.Conn, _ wire.Core) {
			d.loop.Advance(2 * time.Millisecond)
			d.loop.Dialed[0].Connect()
			client.Arrive([]byte("hello"))
			d.loop.Advance(5 * time.Millisecond)
			d.loop.Dialed[0].Arrive([]byte("hi"))
			client.Finish()
			d.loop.Dialed[0].Finish()
		}, "a done in=5 out=2 tries=0 2ms/7ms/7ms "},
		"no server": {nil, func(*desk, *wiretest.Conn, wire.Core) {}, "- no_server in=0 out=0 tries=0 -1ns/-1ns/0s no server can serve the session"},
		"unreachable": {[]string{"a", "b"}, func(d *desk, _ *wiretest.Conn, _ wire.Core) {
			d.loop.Dialed[0].Break(syscall.ECONNREFUSED)
			d.loop.Dialed[1].Break(syscall.ECONNREFUSED)
		}, "b connect_failed in=0 out=0 tries=2 -1ns/-1ns/0s no server can serve the session"},
		"another server": {[]string{"a", "b"}, func(d *desk, client *wiretest.Conn, _ wire.Core) {
			d.loop.Dialed[0].Break(syscall.ECONNREFUSED)
			d.loop.Dialed[1].Connect()
			client.Break(syscall.ECONNRESET)
		}, "b client_closed in=0 out=0 tries=1 0s/-1ns/0s the client broke off"},
		"server breaks": {[]string{"a"}, func(d *desk, _ *wiretest.Conn, _ wire.Core) {
			d.loop.Dialed[0].Connect()
			d.loop.Dialed[0].Break(syscall.ECONNRESET)
		}, "a server_closed in=0 out=0 tries=0 0s/-1ns/0s the server broke off"},
		"silence": {[]string{"a"}, func(d *desk, _ *wiretest.Conn, _ wire.Core) {
			d.config.Limits.ClientTimeout = appliance.Duration(time.Minute)
			d.loop.Dialed[0].Connect()
			d.loop.Advance(2 * time.Minute)
		}, "a timeout_client in=0 out=0 tries=0 0s/-1ns/1m0s nothing was sent either way for too long"},
		"halted": {[]string{"a"}, func(d *desk, _ *wiretest.Conn, core wire.Core) {
			d.loop.Dialed[0].Connect()
			core.Evict(nil)
		}, "a evicted in=0 out=0 tries=0 0s/-1ns/0s an operator or a new configuration ended it"},
	} {
		t.Run(name, func(t *testing.T) {
			d, client, core := open(c.servers...)
			c.play(d, client, core)
			if len(d.records.Records) != 1 {
				t.Fatalf("%d records", len(d.records.Records))
			}
			one := d.records.Records[0]
			server := "-"
			if one.Server != nil {
				server = one.Server.ID
			}
			got := fmt.Sprintf("%s %s in=%d out=%d tries=%d %v/%v/%v %s", server, one.End, one.BytesIn, one.BytesOut, one.Tries, one.Took(one.Connected), one.Took(one.FirstByte), one.Took(one.Ended), one.Why)
			if got != c.want || !one.Session {
				t.Errorf("told %s, want %s", got, c.want)
			}
		})
	}
}
