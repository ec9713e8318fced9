package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/schema"
)

// document is a JSON object of the OpenAPI description; encoding sorts its keys, so the same routes give the same bytes.
type document map[string]any

// openAPI writes the description of the routes, OpenAPI 3.1.
func openAPI(routes []route, version string) []byte {
	b := &describer{components: document{}}
	paths := document{}
	var tags []document
	for _, r := range routes {
		item, _ := paths[Prefix+r.Path].(document)
		if item == nil {
			item = document{}
			paths[Prefix+r.Path] = item
		}
		item[strings.ToLower(r.Method)] = b.operation(r)
		if len(tags) == 0 || tags[len(tags)-1]["name"] != r.Tag {
			tags = append(tags, document{"name": r.Tag})
		}
	}
	b.schemaOf(reflect.TypeFor[problem.Problem]())
	text, err := json.MarshalIndent(document{
		"openapi": "3.1.0",
		"info": document{
			"title": "Evenkeel", "version": version,
			"description": "The load balancer's REST interface. JSON is read strictly: unknown and repeated fields are refused. " +
				"Objects carry an ETag; PUT, PATCH and DELETE of what is configured demand it as If-Match. " +
				"A change is saved first and runs after apply. Errors are application/problem+json and name each field.",
		},
		"tags": tags, "paths": paths,
		"security": []document{{"token": []string{}}, {"session": []string{}}},
		"components": document{
			"schemas": b.components,
			"securitySchemes": document{
				"token":   document{"type": "http", "scheme": "bearer", "description": "A token of Maintenance, Passwords, API tokens."},
				"session": document{"type": "apiKey", "in": "cookie", "name": "__Host-evenkeel", "description": "The session of a browser that is signed in."},
			},
			"responses": document{"problem": document{
				"description": "Refused; errors names the fields. 400 not readable, 401 nobody signed in, 403 role, 404 absent, 409 taken, 412 changed meanwhile, " +
					"413 too large, 415 not JSON, 422 not accepted, 428 no If-Match or no host_key, 503 not now.",
				"content": document{problem.MediaType: document{"schema": reference("Problem")}},
			}},
		},
	}, "", " ")
	if err != nil {
		panic("api: description without JSON: " + err.Error())
	}
	return append(text, '\n')
}

type describer struct{ components document }

func reference(name string) document { return document{"$ref": "#/components/schemas/" + name} }

func (b *describer) operation(r route) document {
	op := document{
		"summary": r.Summary, "tags": []string{r.Tag}, "operationId": operationID(r), "x-role": string(r.Role),
		"parameters": b.parameters(r),
	}
	if r.Takes != nil {
		op["requestBody"] = b.requestBody(r)
	}
	success := document{"description": "Done."}
	if r.Gives != nil {
		success["content"] = document{"application/json": document{"schema": b.schemaOf(reflect.TypeOf(r.Gives))}}
	}
	if r.Status == 201 {
		success["headers"] = document{"Location": document{"description": "Path of the new object.", "schema": document{"type": "string"}}}
	}
	op["responses"] = document{strconv.Itoa(r.Status): success, "default": document{"$ref": "#/components/responses/problem"}}
	if r.dryRuns() {
		op["responses"].(document)["200"] = document{
			"description": "Done; with dry_run=true the plan.",
			"content":     document{"application/json": document{"schema": b.either(r)}},
		}
	}
	return op
}

// dryRuns tells whether the route can answer a plan instead of saving.
func (r route) dryRuns() bool {
	for _, p := range r.Query {
		if p.Name == "dry_run" {
			return true
		}
	}
	return false
}

func (b *describer) either(r route) document {
	plan := b.schemaOf(reflect.TypeFor[Planned]())
	if r.Status != 200 || reflect.TypeOf(r.Gives) == reflect.TypeFor[Planned]() {
		return plan
	}
	return document{"anyOf": []any{b.schemaOf(reflect.TypeOf(r.Gives)), plan}}
}

func operationID(r route) string {
	words := strings.NewReplacer("{", "", "}", "", "/", "_", "-", "_", ".", "_").Replace(r.Path)
	return strings.ToLower(r.Method) + words
}

func (b *describer) parameters(r route) []document {
	out := []document{}
	for _, name := range params(r.Path) {
		out = append(out, document{"name": name, "in": "path", "required": true, "schema": document{"type": "string"}, "description": pathHelp(name)})
	}
	for _, q := range r.Query {
		out = append(out, document{"name": q.Name, "in": "query", "schema": document{"type": q.Type}, "description": q.Help})
	}
	if r.Guarded {
		out = append(out, document{
			"name": "If-Match", "in": "header", "required": true, "schema": document{"type": "string"},
			"description": "The ETag of the object as it was read, or * to overwrite whatever is there.",
		})
	}
	return out
}

func pathHelp(name string) string {
	switch name {
	case "rid":
		return "Id of the real server."
	case "n":
		return "Number of the revision."
	case "name":
		return "Name of the account."
	}
	return "Id of the object."
}

func (b *describer) requestBody(r route) document {
	body := document{"schema": b.schemaOf(reflect.TypeOf(r.Takes))}
	if example := exampleOf(r); example != nil {
		body["example"] = example
	}
	media := "application/json"
	if r.Patch {
		media = "application/merge-patch+json"
		body["schema"] = document{"type": "object", "description": "The fields to change, as in " + reflect.TypeOf(r.Takes).Name() + "; null restores a default."}
	}
	return document{"required": true, "content": document{media: body}}
}

// object is the catalogue's name of a type, or "".
func object(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[appliance.VirtualService]():
		return "virtual_service"
	case reflect.TypeFor[appliance.RealServer]():
		return "real_server"
	case reflect.TypeFor[appliance.Rule]():
		return "rule"
	case reflect.TypeFor[appliance.Script]():
		return "script"
	case reflect.TypeFor[appliance.Settings]():
		return "settings"
	case reflect.TypeFor[appliance.Heartbeat]():
		return "heartbeat"
	case reflect.TypeFor[appliance.Local]():
		return "local"
	case reflect.TypeFor[appliance.Question]():
		return "question"
	}
	return ""
}

// schemaOf returns a reference to the component of t, after adding it.
func (b *describer) schemaOf(t reflect.Type) document { return b.schema(schema.Of(t), "", "") }

// schema describes s, which stands at path within a catalogued object, or within none.
func (b *describer) schema(s *schema.Schema, within, path string) document {
	switch s.Form {
	case schema.List:
		return document{"type": "array", "items": b.schema(s.Item, within, path)}
	case schema.Object:
		if s.Fields == nil {
			return document{"type": "object", "additionalProperties": document{"type": "integer"}}
		}
		if named := object(s.Type); named != "" || within == "" {
			return b.component(s, named)
		}
		return alternatives(b.object(s, within, path+"."), s)
	}
	return plain(s)
}

func (b *describer) component(s *schema.Schema, named string) document {
	name := s.Type.Name()
	if _, known := b.components[name]; !known {
		b.components[name] = document{} // reserved, in case it is met again below
		b.components[name] = b.object(s, named, "")
	}
	return reference(name)
}

func (b *describer) object(s *schema.Schema, within, prefix string) document {
	properties, owner := document{}, within
	if within == "" {
		owner = s.Type.Name()
	}
	for _, p := range s.Fields {
		below := document{}
		maps.Copy(below, b.schema(p.Schema, within, prefix+p.Name))
		below["description"] = describe(owner, prefix+p.Name)
		if p.Name == "id" && within != "" {
			below["readOnly"] = true
		}
		properties[p.Name] = below
	}
	out := document{"type": "object", "properties": properties, "additionalProperties": false}
	if prefix == "" && within != "" {
		if needed := required(within); needed != nil {
			out["required"] = needed
		}
	}
	return out
}

// required lists what has no default.
func required(object string) []string {
	switch object {
	case "virtual_service":
		return []string{"label"} // a pool has neither address nor ports
	case "real_server":
		return []string{"label", "address"}
	case "rule":
		return []string{"label", "then"}
	case "script":
		return []string{"label", "body"}
	}
	return nil
}

// plain describes what is neither object nor list.
func plain(s *schema.Schema) document {
	out := document{}
	if s.Form != schema.Free {
		out["type"] = string(s.Form)
	}
	if s.Format != "" {
		out["format"] = s.Format
	}
	if s.Choices != nil {
		out["enum"] = s.Choices
	}
	if s.Form == schema.Whole && s.Max < 1<<31 {
		out["minimum"], out["maximum"] = s.Min, s.Max
	}
	return alternatives(out, s)
}

// alternatives adds the further forms in which the value is read.
func alternatives(main document, s *schema.Schema) document {
	if len(s.Also) == 0 {
		return main
	}
	all := []document{main}
	for _, f := range s.Also {
		all = append(all, document{"type": string(f)})
	}
	return document{"anyOf": all}
}
