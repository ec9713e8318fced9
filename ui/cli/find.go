package cli

import (
	"fmt"
	"net/url"
	"strings"

	"evenkeel/appliance"
)

// pick finds what a person named: by label, by id, or by label in other letters when that is only one.
func pick[T any](list []T, name string, names func(T) (id, label string)) (T, error) {
	var close []T
	var none T
	var labels []string
	for _, v := range list {
		id, label := names(v)
		if label == name || id == name {
			return v, nil
		}
		if strings.EqualFold(label, name) {
			close = append(close, v)
		}
		labels = append(labels, label)
	}
	if len(close) == 1 {
		return close[0], nil
	}
	hint := "There is none yet."
	if len(labels) > 0 {
		hint = "There are: " + strings.Join(labels, ", ") + "."
	}
	return none, &appliance.Error{Kind: appliance.NotFound, Subject: name, Hint: hint}
}

// named adds the sentence to pick's error.
func named(err error, what, name string) error {
	if err == nil {
		return nil
	}
	e := *appliance.ErrorsOf(err)[0]
	e.Message = fmt.Sprintf("There is no %s named %s.", what, quoted(name))
	return &e
}

func (s *session) service(name string) (appliance.VirtualService, error) {
	list, _, err := get[[]appliance.VirtualService](s, "/virtual-services")
	if err != nil {
		return appliance.VirtualService{}, err
	}
	v, err := pick(list, name, func(v appliance.VirtualService) (string, string) { return v.ID, v.Label })
	return v, named(err, "virtual service", name)
}

// server finds the service and the real server that the first two arguments name.
func (s *session) server() (appliance.VirtualService, appliance.RealServer, error) {
	v, err := s.service(s.args[0])
	if err != nil {
		return v, appliance.RealServer{}, err
	}
	r, err := serverOf(v, s.args[1])
	return v, r, err
}

func serverOf(v appliance.VirtualService, name string) (appliance.RealServer, error) {
	r, err := pick(v.RealServers, name, func(r appliance.RealServer) (string, string) { return r.ID, r.Label })
	return r, named(err, "real server of "+v.Label, name)
}

func (s *session) script(name string) (appliance.Script, error) {
	list, _, err := get[[]appliance.Script](s, "/scripts")
	if err != nil {
		return appliance.Script{}, err
	}
	v, err := pick(list, name, func(v appliance.Script) (string, string) { return v.ID, v.Label })
	return v, named(err, "health check script", name)
}

func servicePath(v appliance.VirtualService) string {
	return "/virtual-services/" + url.PathEscape(v.ID)
}

func serverPath(v appliance.VirtualService, r appliance.RealServer) string {
	return servicePath(v) + "/real-servers/" + url.PathEscape(r.ID)
}

// tag is the ETag of an object as it was read.
func tag(v any) string { return `"` + appliance.Hash(v) + `"` }
