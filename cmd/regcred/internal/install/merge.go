// Package install puts the plugins and their configuration onto a node, and
// makes the node as it was before.
//
// First everything is planned, which changes nothing: where things go, what is
// there already, and what the kubelet would make of the result. Then the plan
// is carried out at once or not at all.
package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/kubelet"
)

// Edit is a piece of a text that was put in the place of another one, so that
// it can be taken out again whatever else became of the text.
type Edit struct {
	Old string `json:"old,omitempty"`
	New string `json:"new"`
}

// undo takes the edit out of a text. It fails unless the piece is there, once.
func (e Edit) undo(text []byte) ([]byte, bool) {
	if e.New == "" || bytes.Count(text, []byte(e.New)) != 1 {
		return nil, false
	}
	return bytes.Replace(text, []byte(e.New), []byte(e.Old), 1), true
}

// header begins the files that are ours alone.
const header = "# Written by regcred install. regcred uninstall removes it.\n"

// newConfig is a configuration with nothing but the providers.
func newConfig(providers []kubeletconfig.CredentialProvider) ([]byte, error) {
	text := header + "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n"
	for i := range providers {
		lines, err := entryYAML(&providers[i])
		if err != nil {
			return nil, err
		}
		text += strings.Join(lines, "\n") + "\n"
	}
	return []byte(text), nil
}

// addProviders adds providers to the end of a configuration. All else stays to
// the letter: other providers, comments, the order. Where that cannot be, as in
// YAML that writes the list in brackets, the text is written again, and the
// Edit is empty.
//
// What comes out is what the kubelet reads as the former providers and then
// the new ones, or there is an error.
func addProviders(name string, text []byte, providers []kubeletconfig.CredentialProvider) ([]byte, Edit, error) {
	former, err := kubelet.Parse(name, text)
	if err != nil {
		return nil, Edit{}, err
	}
	want := plain(former.Providers)
	want = append(want, providers...)
	add := addYAML
	if isJSON(text) {
		add = addJSON
	}
	result, edit, err := add(text, providers)
	if err == nil && !reads(name, result, want) {
		err = errors.New("unexpected form")
	}
	if err != nil && !isJSON(text) {
		edit = Edit{}
		result, err = rewriteYAML(text, providers)
	}
	if err != nil {
		return nil, Edit{}, fmt.Errorf("%s: add to its providers: %w", name, err)
	}
	after, err := kubelet.Parse(name, result)
	if err != nil {
		return nil, Edit{}, err
	}
	if !reflect.DeepEqual(plain(after.Providers), want) {
		return nil, Edit{}, fmt.Errorf("%s: its form is unexpected: add the providers by hand", name)
	}
	if edit.New != "" {
		// What the edit is taken out of again has to be the text.
		if undone, ok := edit.undo(result); !ok || !bytes.Equal(undone, text) {
			edit = Edit{}
		}
	}
	return result, edit, nil
}

// reads reports whether the kubelet reads a text as these providers.
func reads(name string, text []byte, want []kubeletconfig.CredentialProvider) bool {
	config, err := kubelet.Parse(name, text)
	return err == nil && reflect.DeepEqual(plain(config.Providers), want)
}

// plain are providers as the kubelet's own type has them.
func plain(providers []kubelet.Provider) []kubeletconfig.CredentialProvider {
	list := make([]kubeletconfig.CredentialProvider, 0, len(providers))
	for i := range providers {
		list = append(list, providers[i].CredentialProvider)
	}
	return list
}

// isJSON reports whether the kubelet's decoder takes a text for JSON.
func isJSON(text []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) }

// addJSON puts providers behind the last one.
func addJSON(text []byte, providers []kubeletconfig.CredentialProvider) ([]byte, Edit, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return nil, Edit{}, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, Edit{}, err
		}
		if key != "providers" {
			var skipped json.RawMessage
			if err := decoder.Decode(&skipped); err != nil {
				return nil, Edit{}, err
			}
			continue
		}
		if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
			return nil, Edit{}, errors.New("not a list")
		}
		at, begin := decoder.InputOffset(), int64(-1)
		for decoder.More() {
			var element json.RawMessage
			if err := decoder.Decode(&element); err != nil {
				return nil, Edit{}, err
			}
			at = decoder.InputOffset()
			begin = at - int64(len(element))
		}
		if begin < 0 {
			return nil, Edit{}, errors.New("an empty list")
		}
		return insertJSON(text, begin, at, providers)
	}
	return nil, Edit{}, errors.New("no list")
}

// insertJSON inserts providers at an offset, with the indentation of the one
// that begins at another.
func insertJSON(text []byte, begin, at int64, providers []kubeletconfig.CredentialProvider) ([]byte, Edit, error) {
	line := text[bytes.LastIndexByte(text[:begin], '\n')+1 : begin]
	indented := len(bytes.TrimLeft(line, " \t")) == 0 && bytes.IndexByte(text[:begin], '\n') >= 0
	var piece strings.Builder
	for i := range providers {
		entry := newEntry(&providers[i])
		if !indented {
			encoded, err := json.Marshal(entry)
			if err != nil {
				return nil, Edit{}, err
			}
			piece.WriteString("," + string(encoded))
			continue
		}
		step := string(line[:len(line)/2]) // a provider is two levels deep
		if step == "" {
			step = "  "
		}
		encoded, err := json.MarshalIndent(entry, string(line), step)
		if err != nil {
			return nil, Edit{}, err
		}
		piece.WriteString("," + lineEnd(text) + string(line) + strings.ReplaceAll(string(encoded), "\n", lineEnd(text)))
	}
	return insert(text, at, piece.String())
}

// lineEnd is how the lines of a text end.
func lineEnd(text []byte) string {
	if bytes.Contains(text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func insert(text []byte, at int64, piece string) ([]byte, Edit, error) {
	result := append(bytes.Clone(text[:at]), piece...)
	return append(result, text[at:]...), Edit{New: piece}, nil
}

// addYAML puts providers behind the last line of the last one.
func addYAML(text []byte, providers []kubeletconfig.CredentialProvider) ([]byte, Edit, error) {
	list, err := providersNode(text)
	if err != nil {
		return nil, Edit{}, err
	}
	if list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0 {
		return nil, Edit{}, errors.New("a list in brackets")
	}
	indent := list.Column - 1
	at, end := int64(0), int64(-1)
	number := 0
	for line := range bytes.Lines(text) {
		number++
		body := bytes.TrimRight(line, "\r\n")
		content := bytes.TrimLeft(body, " ")
		if number >= list.Line && len(content) > 0 && content[0] != '#' {
			depth := len(body) - len(content)
			if number > list.Line && (depth < indent || depth == indent && content[0] != '-' || bytes.HasPrefix(body, []byte("---"))) {
				break
			}
			end = at + int64(len(body))
		}
		at += int64(len(line))
	}
	if end < 0 {
		return nil, Edit{}, errors.New("no list")
	}
	var piece strings.Builder
	for i := range providers {
		lines, err := entryYAML(&providers[i])
		if err != nil {
			return nil, Edit{}, err
		}
		for _, line := range lines {
			piece.WriteString(lineEnd(text) + strings.Repeat(" ", indent) + line)
		}
	}
	return insert(text, end, piece.String())
}

// providersNode is the list of providers in the first document of a YAML text.
func providersNode(text []byte) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&document); err != nil {
		return nil, err
	}
	return listIn(&document)
}

func listIn(document *yaml.Node) (*yaml.Node, error) {
	if len(document.Content) == 1 && document.Content[0].Kind == yaml.MappingNode {
		fields := document.Content[0].Content
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i].Value == "providers" && fields[i+1].Kind == yaml.SequenceNode {
				return fields[i+1], nil
			}
		}
	}
	return nil, errors.New("no list")
}

// rewriteYAML adds providers and writes everything again.
func rewriteYAML(text []byte, providers []kubeletconfig.CredentialProvider) ([]byte, error) {
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&document); err != nil {
		return nil, err
	}
	list, err := listIn(&document)
	if err != nil {
		return nil, err
	}
	for i := range providers {
		var entry yaml.Node
		if err := entry.Encode(newEntry(&providers[i])); err != nil {
			return nil, err
		}
		list.Content = append(list.Content, &entry)
	}
	list.Style &^= yaml.FlowStyle
	var result bytes.Buffer
	encoder := yaml.NewEncoder(&result)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(&document), encoder.Close()); err != nil {
		return nil, err
	}
	return result.Bytes(), nil
}

// entry is a provider with its fields in the order in which people read them.
type entry struct {
	Name                 string           `json:"name" yaml:"name"`
	APIVersion           string           `json:"apiVersion" yaml:"apiVersion"`
	DefaultCacheDuration string           `json:"defaultCacheDuration" yaml:"defaultCacheDuration"`
	MatchImages          []string         `json:"matchImages" yaml:"matchImages"`
	Args                 []string         `json:"args,omitempty" yaml:"args,omitempty"`
	Env                  []variable       `json:"env,omitempty" yaml:"env,omitempty"`
	TokenAttributes      *tokenAttributes `json:"tokenAttributes,omitempty" yaml:"tokenAttributes,omitempty"`
}

type variable struct {
	Name  string `json:"name" yaml:"name"`
	Value string `json:"value" yaml:"value"`
}

type tokenAttributes struct {
	Audience string   `json:"serviceAccountTokenAudience" yaml:"serviceAccountTokenAudience"`
	Cache    string   `json:"cacheType" yaml:"cacheType"`
	Require  *bool    `json:"requireServiceAccount,omitempty" yaml:"requireServiceAccount,omitempty"`
	Required []string `json:"requiredServiceAccountAnnotationKeys,omitempty" yaml:"requiredServiceAccountAnnotationKeys,omitempty"`
	Optional []string `json:"optionalServiceAccountAnnotationKeys,omitempty" yaml:"optionalServiceAccountAnnotationKeys,omitempty"`
}

func newEntry(p *kubeletconfig.CredentialProvider) entry {
	e := entry{Name: p.Name, APIVersion: p.APIVersion, MatchImages: p.MatchImages, Args: p.Args}
	if p.DefaultCacheDuration != nil {
		e.DefaultCacheDuration = p.DefaultCacheDuration.Duration.String()
	}
	for _, v := range p.Env {
		e.Env = append(e.Env, variable(v))
	}
	if a := p.TokenAttributes; a != nil {
		e.TokenAttributes = &tokenAttributes{
			a.ServiceAccountTokenAudience, string(a.CacheType), a.RequireServiceAccount,
			a.RequiredServiceAccountAnnotationKeys, a.OptionalServiceAccountAnnotationKeys,
		}
	}
	return e
}

// entryYAML is a provider as lines of a list.
func entryYAML(p *kubeletconfig.CredentialProvider) ([]string, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := errors.Join(encoder.Encode(newEntry(p)), encoder.Close()); err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	for i := range lines {
		if i == 0 {
			lines[i] = "- " + lines[i]
		} else {
			lines[i] = "  " + lines[i]
		}
	}
	return lines, nil
}
