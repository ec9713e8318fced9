package engine

import (
	"fmt"

	"evenkeel/appliance"
)

// Certificates is who keeps the certificates that services name. An error of kind NotFound says that there is none with that id; its text reaches operators.
// Both may be called from any goroutine, never from a loop.
type Certificates interface {
	KeyPair(id string) (appliance.KeyPair, error)
	Authority(id string) (appliance.Authority, error)
}

// secured refuses what TLS needs and this engine does not have.
func (e *Engine) secured(c *appliance.Config) appliance.Errors {
	var all appliance.Errors
	for i := range c.Cluster.VirtualServices {
		s := &c.Cluster.VirtualServices[i]
		refuse := func(field string) {
			all = append(all, &appliance.Error{
				Kind: appliance.Unsupported, Op: "check TLS", Subject: s.ID, Field: fmt.Sprintf("virtual_services[%s].%s", s.Label, field), Message: "This version does not speak TLS yet.",
			})
		}
		if s.TLS.On() {
			refuse("tls.certificates")
		}
		if s.TLS.Redirects() {
			refuse("tls.redirect")
		}
		for j := range s.RealServers {
			if s.Encrypts(&s.RealServers[j]) {
				refuse(fmt.Sprintf("real_servers[%d].encrypt", j))
			}
		}
	}
	return all
}
