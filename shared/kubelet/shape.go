package kubelet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// shape is the type of a field.
type shape struct {
	kind   string
	fields map[string]*shape
	names  []string // of the fields
	elem   *shape   // of a list, or of a mapping
}

const (
	isString   = "a string"
	isBool     = "a boolean"
	isNumber   = "a number"
	isDuration = "a duration"
	isList     = "a list"
	isObject   = "an object"
)

// configShape is that of a CredentialProviderConfig.
var configShape = object(
	"apiVersion", scalar(isString),
	"kind", scalar(isString),
	"providers", list(object(
		"name", scalar(isString),
		"matchImages", list(scalar(isString)),
		"defaultCacheDuration", scalar(isDuration),
		"apiVersion", scalar(isString),
		"args", list(scalar(isString)),
		"env", list(object("name", scalar(isString), "value", scalar(isString))),
		"tokenAttributes", object(
			"serviceAccountTokenAudience", scalar(isString),
			"cacheType", scalar(isString),
			"requireServiceAccount", scalar(isBool),
			"requiredServiceAccountAnnotationKeys", list(scalar(isString)),
			"optionalServiceAccountAnnotationKeys", list(scalar(isString)),
		),
	)),
)

func scalar(kind string) *shape { return &shape{kind: kind} }

func list(elem *shape) *shape { return &shape{kind: isList, elem: elem} }

// mapping is an object with any names.
func mapping(elem *shape) *shape { return &shape{kind: isObject, elem: elem} }

// object takes names and shapes in turn.
func object(fields ...any) *shape {
	s := &shape{kind: isObject, fields: map[string]*shape{}}
	for i := 0; i < len(fields); i += 2 {
		name, _ := fields[i].(string)
		s.fields[name], _ = fields[i+1].(*shape)
		s.names = append(s.names, name)
	}
	return s
}

// at returns the shape of a path, or nil.
func (s *shape) at(path string) *shape {
	if path == "" {
		return s
	}
	for part := range strings.SplitSeq(path, ".") {
		name, _, indexed := strings.Cut(part, "[")
		if s = s.fields[name]; s == nil {
			return nil
		}
		if indexed {
			if s = s.elem; s == nil {
				return nil
			}
		}
	}
	return s
}

// find returns the name of the object that has a field, or "".
func (s *shape) find(name string) string {
	for _, field := range s.names {
		inner := s.fields[field]
		if inner.elem != nil {
			inner = inner.elem
		}
		if _, found := inner.fields[name]; found {
			return field
		}
		if where := inner.find(name); where != "" {
			return where
		}
	}
	return ""
}

// check finds every value of the wrong type.
func (s *shape) check(path string, value any) Problems {
	if value == nil {
		return nil
	}
	wrong := func(fix string) Problems {
		return Problems{problemf(Error, "field-type", path, fix, "%s; want %s", kindOf(value), s.kind)}
	}
	var problems Problems
	switch value := value.(type) {
	case map[string]any:
		if s.kind != isObject {
			return wrong("")
		}
		for _, name := range s.names {
			field := name
			if path != "" {
				field = path + "." + name
			}
			problems = append(problems, s.fields[name].check(field, value[name])...)
		}
		if s.elem != nil {
			for _, name := range slices.Sorted(maps.Keys(value)) {
				problems = append(problems, s.elem.check(fmt.Sprintf("%s[%.120q]", path, name), value[name])...)
			}
		}
	case []any:
		if s.kind != isList {
			return wrong("")
		}
		for i, elem := range value {
			problems = append(problems, s.elem.check(index(path, i), elem)...)
		}
	case string:
		switch s.kind {
		case isDuration:
			return checkDuration(path, value)
		case isList:
			return wrong("write it as an item of a list")
		case isString:
		default:
			return wrong("")
		}
	case bool:
		if s.kind == isString {
			return wrong("put it in quotes: y, n, yes, no, on, off, true and false are booleans in YAML")
		}
		if s.kind != isBool {
			return wrong("")
		}
	default:
		switch s.kind {
		case isString:
			return wrong("put it in quotes")
		case isDuration:
			return wrong("write a number with a unit, such as 10m or 0s")
		default:
			return wrong("")
		}
	}
	return problems
}

func kindOf(value any) string {
	switch value.(type) {
	case map[string]any:
		return isObject
	case []any:
		return isList
	case string:
		return isString
	case bool:
		return isBool
	default:
		return isNumber
	}
}

func checkDuration(path, value string) Problems {
	if _, err := time.ParseDuration(value); err == nil {
		return nil
	}
	shown := "a text that is no duration"
	if len(value) <= 10 {
		shown = fmt.Sprintf("duration %q", value)
	}
	return Problems{problemf(Error, "duration-invalid", path, "write a number with a unit: 90s, 10m, 12h (a day is 24h)", "%s", shown)}
}

// index is the path of an item of a list.
func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
