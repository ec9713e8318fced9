package demo

import (
	"slices"
	"strings"

	"evenkeel/engine/dicom"
)

// matches reports whether item fits every key of query, PS3.4 section C.2.2.2. Keys that items do not have match anything.
func matches(query, item dicom.DataSet) bool {
	for _, key := range query {
		if key.Tag == dicom.SpecificCharacterSet {
			continue
		}
		value, ok := item.Get(key.Tag)
		if ok && !matchesElement(key, value) {
			return false
		}
	}
	return true
}

func matchesElement(key, value dicom.Element) bool {
	if value.VR == dicom.Sequence {
		if len(key.Items) == 0 {
			return true
		}
		return slices.ContainsFunc(value.Items, func(item dicom.DataSet) bool { return matches(key.Items[0], item) })
	}
	pattern := key.Text()
	if pattern == "" {
		return true
	}
	switch value.VR {
	case dicom.Date, dicom.Time:
		return inRange(pattern, value.Text())
	case dicom.UniqueID:
		return slices.Contains(strings.Split(pattern, `\`), value.Text())
	case dicom.PersonName:
		return glob(strings.ToLower(strings.TrimRight(pattern, "^ ")), strings.ToLower(value.Text()))
	}
	return glob(strings.TrimSpace(pattern), value.Text())
}

// inRange matches dates and times: one value, or a range with either end open.
func inRange(pattern, value string) bool {
	from, to, isRange := strings.Cut(pattern, "-")
	from, to, value = digits(from, "0"), digits(to, "9"), digits(value, "0")
	if !isRange {
		return from == value
	}
	return (from == "" || from <= value) && (to == "" || value <= to)
}

// digits brings a date or time to a form that compares as text: without separators and fractions, times filled up to six digits.
func digits(s, fill string) string {
	s = strings.TrimSpace(s)
	if strings.Count(s, ".") == 1 {
		s, _, _ = strings.Cut(s, ".") // the fraction of a time; old dates have two dots
	}
	s = strings.NewReplacer(".", "", ":", "").Replace(s)
	for len(s) > 0 && len(s) < 6 {
		s += fill
	}
	return s
}

// glob matches * and ? as PS3.4 section C.2.2.2.4 says.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	i, j, star, resume := 0, 0, -1, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, resume = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			resume++
			i, j = star+1, resume
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// project returns what query asks for of item: empty where item has nothing, whole sequences where the key names no
// attributes, and always the character set.
func project(query, item dicom.DataSet) dicom.DataSet {
	charset, _ := item.Get(dicom.SpecificCharacterSet)
	return dicom.NewDataSet(append(dicom.DataSet{charset}, selected(query, item)...)...)
}

func selected(query, item dicom.DataSet) dicom.DataSet {
	var out dicom.DataSet
	for _, key := range query {
		value, ok := item.Get(key.Tag)
		switch {
		case !ok:
			out = append(out, dicom.Element{Tag: key.Tag, VR: key.VR})
		case value.VR == dicom.Sequence && len(key.Items) > 0 && len(key.Items[0]) > 0:
			var items []dicom.DataSet
			for _, nested := range value.Items {
				if matches(key.Items[0], nested) {
					items = append(items, selected(key.Items[0], nested))
				}
			}
			out = append(out, dicom.Items(key.Tag, items...))
		default:
			out = append(out, value)
		}
	}
	return out
}
