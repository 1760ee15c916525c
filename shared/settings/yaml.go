package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxJSON bounds what aliases can make of a document.
const maxJSON = 4 << 20

// ToJSON returns the object of a YAML or JSON text as JSON. A text that is JSON
// is returned as it is, without being read as YAML.
//
// A text of YAML has one document, and nothing else after it. Keys are unique.
// A scalar without quotes that is a number or a boolean becomes one, and is so
// refused where a string is wanted: 0123 and 1.10 would be other strings than
// were written. Tags are refused, except for those of plain types, and so are
// merge keys.
//
// Errors have line and column, and no values, which may be secrets.
func ToJSON(text []byte) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // which Windows' tools write
	if isObject(text) && json.Valid(text) {
		return text, nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(hideVersion(text)))
	if err != nil {
		return nil, err
	}
	var c converter
	for documents := 0; ; documents++ {
		var document yaml.Node
		switch err := loader.Load(&document); {
		case errors.Is(err, io.EOF) && !isObject(c.json):
			return nil, errors.New("not a YAML or JSON object")
		case errors.Is(err, io.EOF):
			return c.json, nil
		case err != nil:
			return nil, syntaxError(err)
		}
		content := document.Content[0]
		switch {
		case documents == 0:
			if err := c.write(content); err != nil {
				return nil, err
			}
		case content.Kind != yaml.ScalarNode || content.Value != "":
			return nil, at(content, "a second document")
		}
	}
}

// isObject reports whether JSON is of an object.
func isObject(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

// hideVersion makes a comment of the line that says which version of YAML
// follows: the parser knows one, and reads them all.
func hideVersion(text []byte) []byte {
	start := 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("%YAML 1.")) {
			text = slices.Clone(text)
			text[start] = '#'
			break
		}
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] != '#' {
			break
		}
		start += len(line)
	}
	return text
}

// syntaxError says where the parser stopped, in one line.
func syntaxError(err error) error {
	load, ok := errors.AsType[*yaml.LoadError](err)
	switch {
	case !ok:
		return errors.New("not YAML or JSON")
	case load.Mark.Line == 0:
		return fmt.Errorf("not YAML or JSON: %s", load.Message)
	default:
		return fmt.Errorf("line %d, column %d: %s", load.Mark.Line, load.Mark.Column, load.Message)
	}
}

// at returns an error about a place in the text.
func at(node *yaml.Node, message string) error {
	return fmt.Errorf("line %d, column %d: %s", node.Line, node.Column, message)
}

// converter writes YAML as JSON.
type converter struct {
	json []byte

	// open are the aliases that are being written: one may be in itself.
	open []*yaml.Node
}

func (c *converter) write(node *yaml.Node) error {
	if len(c.json) > maxJSON {
		return at(node, "more than 4 MiB of aliases")
	}
	switch node.Kind {
	case yaml.MappingNode:
		return c.mapping(node)
	case yaml.SequenceNode:
		return c.sequence(node)
	case yaml.AliasNode:
		if slices.Contains(c.open, node.Alias) {
			return at(node, "an alias within what it stands for")
		}
		c.open = append(c.open, node.Alias)
		err := c.write(node.Alias)
		c.open = c.open[:len(c.open)-1]
		return err
	}
	switch node.ShortTag() {
	case "!!str", "!!timestamp":
		return c.value(node, node.Value)
	case "!!null":
		return c.value(node, nil)
	case "!!bool", "!!int", "!!float":
		var value any
		if err := node.Decode(&value); err != nil {
			return at(node, "a value that does not fit its tag")
		}
		return c.value(node, value)
	default:
		return at(node, "a tag that JSON has no type for")
	}
}

func (c *converter) mapping(node *yaml.Node) error {
	seen := make(map[string]bool, len(node.Content)/2)
	c.json = append(c.json, '{')
	for pair := range slices.Chunk(node.Content, 2) {
		key := pair[0]
		switch {
		case key.ShortTag() == "!!merge":
			return at(key, "a merge key: write the fields themselves")
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			return at(key, "a key that is not a plain string")
		case seen[key.Value]:
			return at(key, "a key that was there already")
		}
		if len(seen) > 0 {
			c.json = append(c.json, ',')
		}
		seen[key.Value] = true
		if err := c.value(key, key.Value); err != nil {
			return err
		}
		c.json = append(c.json, ':')
		if err := c.write(pair[1]); err != nil {
			return err
		}
	}
	c.json = append(c.json, '}')
	return nil
}

func (c *converter) sequence(node *yaml.Node) error {
	c.json = append(c.json, '[')
	for i, item := range node.Content {
		if i > 0 {
			c.json = append(c.json, ',')
		}
		if err := c.write(item); err != nil {
			return err
		}
	}
	c.json = append(c.json, ']')
	return nil
}

func (c *converter) value(node *yaml.Node, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return at(node, "a number that JSON has not")
	}
	c.json = append(c.json, encoded...)
	return nil
}

// FieldError returns a JSON decoder's error about the type of a value in terms
// of what was written: with the field's path, and without Go's types. Other
// errors it returns as they are.
func FieldError(err error) error {
	if err == nil {
		return nil
	}
	rest, isType := strings.CutPrefix(err.Error(), "json: cannot unmarshal ")
	value, rest, hasField := strings.Cut(rest, " into Go struct field ")
	field, goType, hasType := strings.Cut(rest, " of type ")
	if !isType || !hasField || !hasType {
		return err
	}
	_, path, _ := strings.Cut(field, ".") // without the name of the struct
	kind, _, _ := strings.Cut(value, " ") // without the number itself
	return fmt.Errorf("%s: %s; want %s", path, written(kind), wanted(goType))
}

// written says what a value of JSON is.
func written(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	default:
		return "a " + kind
	}
}

// wanted says how to write a value of a type.
func wanted(goType string) string {
	switch {
	case goType == "string":
		return "a string, in quotes"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "uint"), strings.HasPrefix(goType, "float"):
		return "a number"
	case strings.HasSuffix(goType, "Duration"):
		return `a duration, such as "10m"`
	default:
		return "an object"
	}
}
