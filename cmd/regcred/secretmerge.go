package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

// mergeSecretFlags are what secret merge is told.
type mergeSecretFlags struct {
	name, namespace string
	output          string
	reveal          bool
}

func (a *app) secretMerge() *cobra.Command {
	var f mergeSecretFlags
	cmd := &cobra.Command{
		Use:   "merge FILE|-...",
		Short: "Show the one docker configuration that the kubelet makes of several pull secrets",
		Long: `merge reads pull secrets, in the order in which a pod names them, and prints the one
config.json that the kubelet makes of them: keys from the most exact one on. Files are
Secrets as kubectl prints them, in YAML or JSON, several and lists too, or docker
configuration by itself.

Where two have logins for the same, the kubelet tries the first one and then the other,
and a config.json has room for one: such conflicts are told on stderr. A secret that
cannot be read is an error, since the kubelet pulls nothing for a pod that names one.

Output "text" shows no passwords.`,
		Example: `  kubectl get secret -n team pull-a pull-b -o yaml | regcred secret merge -
  regcred secret merge -o text a.yaml ~/.docker/config.json
  regcred secret merge -o secret --name pull a.yaml b.yaml | kubectl apply -f -`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.mergeSecrets(f, args) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "docker", "`docker|secret|text`: a config.json, a Secret with it, or what is in it without passwords")
	flags.StringVar(&f.name, "name", "regcred", "`name` of the Secret")
	flags.StringVarP(&f.namespace, "namespace", "n", "default", "its `namespace`")
	flags.BoolVar(&f.reveal, "show-secrets", false, "print passwords on a terminal, too")
	completeFlag(cmd, "output", "docker", "secret", "text")
	return cmd
}

func (a *app) mergeSecrets(f mergeSecretFlags, paths []string) error {
	if !slices.Contains([]string{"docker", "secret", "text"}, f.output) {
		return usageError(fmt.Errorf("--output %q: want docker, secret or text", f.output))
	}
	if f.output != "text" {
		if err := a.checkTerminal(f.reveal); err != nil {
			return err
		}
	}
	if !isObjectName(f.name) || !isObjectName(f.namespace) {
		return usageError(errors.New("--name and --namespace: no name of an object"))
	}
	var keyring kubelet.Keyring
	for _, path := range paths {
		secrets, err := a.readSecrets(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, secret := range secrets {
			if err := keyring.AddSecret(secret); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if _, used, _ := secret.Auths(); !used {
				a.err.Line(fmt.Sprintf("regcred: %s: the kubelet passes over secret %s, which is of type %q", redact.Line(path), redact.Line(secret.String()), redact.Line(secret.Type)))
			}
		}
	}
	merged := keyring.MergeSecrets()
	for _, conflict := range merged.Conflicts {
		a.err.Line("regcred: " + redact.Line(conflictText(conflict), credential.Known()...))
	}
	if f.output == "text" {
		rows := [][]string{{"FOR", "USER", "FROM"}}
		for _, login := range merged.Auths {
			rows = append(rows, []string{redact.Line(login.Pattern), redact.Line(login.Username), redact.Line(login.Origin.Name)})
		}
		a.out.Table(rows)
		return nil
	}
	config, err := merged.ConfigJSON()
	if err == nil && f.output == "secret" {
		config, err = newPullSecret(f.namespace, f.name, config).encode("yaml")
	}
	if err != nil {
		return err
	}
	_, err = a.out.Write(config)
	return err
}

func conflictText(c kubelet.Conflict) string {
	text := fmt.Sprintf("%s: user %s of %s, and user %s of %s", c.Kept.Pattern, c.Kept.Username, c.Kept.Origin.Name, c.Lost.Username, c.Lost.Origin.Name)
	switch {
	case c.Same:
		return text + " are the same login"
	case c.Chance:
		return text + ": which one the kubelet tries first is left to chance; the former is kept here"
	default:
		return text + ": the kubelet tries the former first; the latter is left out here"
	}
}

// maxSecrets bounds a file of secrets.
const maxSecrets = 16 << 20

// readSecrets reads the secrets of a file, or of stdin.
func (a *app) readSecrets(path string) ([]kubelet.Secret, error) {
	var text []byte
	var err error
	if path == "-" {
		text, err = file.ReadAll(a.stdin, maxSecrets)
	} else {
		text, err = file.Read(path)
	}
	if err != nil {
		return nil, err
	}
	return secretsIn(path, text)
}

// secretsIn reads Secrets as kubectl prints them: one, several documents, a list;
// or docker configuration.
func secretsIn(name string, text []byte) ([]kubelet.Secret, error) {
	var all []kubelet.Secret
	for i, document := range documents(text) {
		var list struct {
			Kind  string            `json:"kind"`
			Items []json.RawMessage `json:"items"`
		}
		// Whatever is wrong is told without what was read: it is secret.
		if err := yaml.Unmarshal(document, &list); err != nil {
			return nil, errors.New("neither YAML nor JSON")
		}
		if strings.HasSuffix(list.Kind, "List") {
			for _, item := range list.Items {
				secret, err := secretFrom(name, item)
				if err != nil {
					return nil, err
				}
				all = append(all, secret)
			}
			continue
		}
		secret, err := secretFrom(name, document)
		if err != nil && list.Kind == "" && i == 0 && filepath.Ext(name) == ".dockercfg" {
			secret, err = kubelet.Secret{Namespace: "file", Name: name, Type: "kubernetes.io/dockercfg", Data: map[string][]byte{".dockercfg": document}}, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, secret)
	}
	if len(all) == 0 {
		return nil, errors.New("no secret in it")
	}
	return all, nil
}

// documents splits YAML at its separators. What is empty or a comment alone is
// none.
func documents(text []byte) [][]byte {
	var all [][]byte
	var current bytes.Buffer
	add := func() {
		document := bytes.Clone(current.Bytes())
		current.Reset()
		for line := range bytes.Lines(document) {
			if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
				all = append(all, document)
				return
			}
		}
	}
	for line := range bytes.Lines(text) {
		if bytes.Equal(bytes.TrimRight(line, " \t\r\n"), []byte("---")) || bytes.HasPrefix(line, []byte("--- ")) {
			add()
			continue
		}
		current.Write(line)
	}
	add()
	return all
}
