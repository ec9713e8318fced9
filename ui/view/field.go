package view

import (
	"github.com/a-h/templ"

	"evenkeel/ui/form"
)

func invalid(text string) string {
	if text != "" {
		return "true"
	}
	return "false"
}

func forAttribute(values string) templ.Attributes {
	if values == "" {
		return nil
	}
	return templ.Attributes{"data-for": values}
}

// misfits says in which modes an option cannot be chosen, for the style sheet and the script.
func misfits(field form.Field, option string) templ.Attributes {
	if modes := field.Misfits(option); modes != "" {
		return templ.Attributes{"data-not": modes}
	}
	return nil
}
