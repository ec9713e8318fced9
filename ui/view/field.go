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

// ruleMisfits is misfits for the choices of a rule.
func ruleMisfits(class, option string) templ.Attributes {
	switch class {
	case "c-subject":
		return notIn(form.SubjectMisfits(option))
	case "c-do":
		return notIn(form.DeedMisfits(option))
	}
	return nil
}

// misfits says in which modes an option cannot be chosen, for the style sheet and the script.
func misfits(field form.Field, option string) templ.Attributes {
	return notIn(field.Misfits(option))
}

func notIn(modes string) templ.Attributes {
	if modes == "" {
		return nil
	}
	return templ.Attributes{"data-not": modes}
}
