package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"evenkeel/appliance"
)

const (
	exportVersion = 1
	maxImport     = 64 << 20 // bytes
	maxDepth      = 16       // of nesting; a configuration has seven levels
	importOp      = "read configuration"
)

type exported struct {
	Version int                `json:"evenkeel"` // of this format
	Cluster *appliance.Cluster `json:"cluster"`
	Local   appliance.Local    `json:"local"`
}

// ConfigJSON writes a whole configuration as people and ParseConfig read it.
func ConfigJSON(config appliance.Config) []byte {
	b, err := json.MarshalIndent(exported{exportVersion, &config.Cluster, config.Local}, "", "  ")
	if err != nil {
		panic("control: configuration without JSON: " + err.Error())
	}
	return append(b, '\n')
}

// ParseConfig reads what ConfigJSON wrote, or what a person wrote like it: fields that are absent have their default, ids may be left out. It refuses unknown fields,
// fields that stand twice, and anything behind the end. The result is not validated. The error is of kind invalid, or unsupported for a newer format.
func ParseConfig(b []byte) (appliance.Config, error) {
	if len(b) > maxImport {
		return appliance.Config{}, unreadable("The file is larger than %d MB.", maxImport>>20)
	}
	if !utf8.Valid(b) {
		return appliance.Config{}, unreadable("The file is not text in UTF-8.")
	}
	if err := readOnce(b); err != nil {
		return appliance.Config{}, err
	}
	var head struct {
		Version *int `json:"evenkeel"`
	}
	if err := json.Unmarshal(b, &head); err != nil || head.Version == nil {
		return appliance.Config{}, unreadable(`The file does not begin as a configuration of Evenkeel does: {"evenkeel": 1, "cluster": …}.`)
	}
	if *head.Version != exportVersion {
		return appliance.Config{}, &appliance.Error{
			Kind: appliance.Unsupported, Op: importOp, Field: "evenkeel",
			Message: fmt.Sprintf("The file has format %d; this version reads format %d.", *head.Version, exportVersion),
		}
	}
	var e exported
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return appliance.Config{}, badContent(err)
	}
	if e.Cluster == nil {
		return appliance.Config{}, &appliance.Error{Kind: appliance.Invalid, Op: importOp, Field: "cluster", Message: `The part "cluster" is missing.`}
	}
	config := appliance.Config{Cluster: *e.Cluster, Local: e.Local}
	canonical(&config)
	return config, nil
}

func unreadable(format string, args ...any) *appliance.Error {
	return &appliance.Error{
		Kind: appliance.Invalid, Op: importOp, Message: fmt.Sprintf(format, args...),
		Hint: "Export a configuration to see what one looks like.",
	}
}

// badContent keeps an error that already names its field, and words the decoder's.
func badContent(err error) error {
	var ours *appliance.Error
	if errors.As(err, &ours) {
		at := *ours
		at.Op = importOp
		return &at
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		e := unreadable("The field %s cannot be a %s.", wrong.Field, wrong.Value)
		e.Field, e.Err = wrong.Field, err
		return e
	}
	e := unreadable("The file is no configuration: %s.", strings.ReplaceAll(err.Error(), "json: ", ""))
	e.Err = err
	return e
}

// readOnce walks over the text and refuses what the decoder would pass over in silence: a field that stands twice (in any case, since the decoder ignores case), and what follows the end.
func readOnce(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := walk(d, "", 0); err != nil {
		var e *appliance.Error
		if errors.As(err, &e) {
			return err
		}
		bad := unreadable("The file is not JSON: it breaks off or has a mistake in line %d.", 1+bytes.Count(b[:min(int(d.InputOffset()), len(b))], []byte{'\n'}))
		bad.Err = err
		return bad
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return unreadable("Something follows the end of the configuration.")
	}
	return nil
}

// walk reads one value.
func walk(d *json.Decoder, path string, depth int) error {
	if depth > maxDepth {
		return unreadable("The file is nested more than %d levels deep.", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, isOpen := t.(json.Delim)
	if !isOpen {
		return nil
	}
	seen := map[string]bool{}
	for n := 0; d.More(); n++ {
		at := fmt.Sprintf("%s[%d]", path, n)
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			at = strings.TrimPrefix(path+"."+name, ".")
			if seen[fold(name)] {
				return &appliance.Error{Kind: appliance.Invalid, Op: importOp, Field: at, Message: fmt.Sprintf("The field %.100q stands twice.", at)}
			}
			seen[fold(name)] = true
		}
		if err := walk(d, at, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// fold brings names that the decoder takes for equal to one form: the smallest of the runes that differ by case only.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
