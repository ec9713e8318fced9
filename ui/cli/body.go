package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/schema"
)

func jsonNumber(text string) json.Number { return json.Number(text) }

// parseServer reads LABEL=ADDRESS or LABEL=ADDRESS:PORT, where the address may be a host name; an IPv6 address with a port stands in brackets.
func (s *session) parseServer(text string) (map[string]any, error) {
	label, address, hasAddress := strings.Cut(text, "=")
	if !hasAddress || label == "" || address == "" {
		return nil, s.misused("--server is written LABEL=ADDRESS or LABEL=ADDRESS:PORT, not %q", text)
	}
	if _, err := netip.ParseAddr(address); err != nil {
		host, port, err := net.SplitHostPort(address)
		if number, wrong := strconv.ParseUint(port, 10, 16); err == nil && wrong == nil && number > 0 {
			return map[string]any{"label": label, "address": host, "port": number}, nil
		}
	}
	return map[string]any{"label": label, "address": address}, nil
}

// copyOf is a service without ids, under another label, with changed fields.
func copyOf(v appliance.VirtualService, label string, patch map[string]any) (appliance.VirtualService, error) {
	v = v.Clone()
	v.ID, v.Label = "", label
	for i := range v.RealServers {
		v.RealServers[i].ID = ""
	}
	return merged(v, patch)
}

// merged is a value with changed fields.
func merged[T any](v T, patch map[string]any) (T, error) {
	var out T
	text, err := json.Marshal(patch)
	if err != nil {
		return out, &appliance.Error{Kind: appliance.Internal, Op: "write changes", Err: err}
	}
	err = schema.Merge(v, text, &out)
	return out, err
}

// flat writes every field of an object on a line of its own.
func (s *session) flat(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write object", Err: err}
	}
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "read object", Err: err}
	}
	about := schema.Of(reflect.TypeOf(v))
	for _, path := range about.Paths() {
		at, _ := about.At(path)
		if value, set := lookup(tree, path); set && (at.Form != schema.List || ofTexts(at)) {
			if list, isList := value.([]any); isList {
				value = strings.Trim(fmt.Sprint(list), "[]")
			}
			s.printf("%s: %s\n", path, strings.ReplaceAll(inert(fmt.Sprint(value)), "\n", " | "))
		}
	}
	return nil
}

func lookup(tree map[string]any, path string) (any, bool) {
	name, rest, deeper := strings.Cut(path, ".")
	value, set := tree[name]
	if !set || !deeper {
		return value, set
	}
	inner, isObject := value.(map[string]any)
	if !isObject {
		return nil, false
	}
	return lookup(inner, rest)
}
