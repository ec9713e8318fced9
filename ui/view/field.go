package view

import "github.com/a-h/templ"

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
