package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/install"
	"regcred/cmd/regcred/internal/term"
	"regcred/plugins"
	"regcred/shared/kubelet"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupNode,
		Short:   "Print, check and merge the kubelet's configuration of credential providers",
		Long: `config is about the CredentialProviderConfig that the kubelet's flag
--image-credential-provider-config names. The kubelet does not start with one that is
wrong, names the first mistake alone, and reads it again only when it is restarted.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.configPrint(), a.configValidate(), a.configMerge(), a.configDocker())
	return cmd
}

// printFlags are what config print is told.
type printFlags struct {
	identity string
	rbac     bool
	output   string
}

func (a *app) configPrint() *cobra.Command {
	var f printFlags
	cmd := &cobra.Command{
		Use:   "print CLOUD...",
		Short: "Print a configuration to begin with, for clouds and a way to prove who asks",
		Long: `print prints the configuration that a plugin's page shows, for one or more of

` + sampleTable() + `
The kubelet is told of the file by --image-credential-provider-config, and of the
directory of the plugins by --image-credential-provider-bin-dir.

IDENTITY is with whose rights images are pulled: the node's, or each pod's own, for
which nodes have to be allowed to request tokens: --rbac prints what allows it.`,
		Example: `  regcred config print aws > /etc/kubernetes/credential-providers.yaml
  regcred config print --identity pod gcp azure
  regcred config print --identity pod --rbac gcp azure | kubectl apply -f -`,
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: completeClouds,
		RunE:              func(_ *cobra.Command, args []string) error { return a.printConfig(f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.identity, "identity", "node", "whose, `node|pod`, or another one that the table has")
	flags.BoolVar(&f.rbac, "rbac", false, "print what lets nodes request the pods' tokens, for the cluster")
	flags.StringVarP(&f.output, "output", "o", "yaml", "`yaml|json`")
	completeFlag(cmd, "identity", "node", "pod", "bindings")
	completeFlag(cmd, "output", "yaml", "json")
	return cmd
}

// sampleFile is the file of an identity's sample. Others are called as they are.
func sampleFile(p install.Plugin, identity string) string {
	if identity == "pod" {
		identity = "pods"
	}
	return p.Short + "/" + identity + ".yaml"
}

// identities are those that a plugin has a sample for.
func identities(p install.Plugin) []string {
	entries, err := plugins.Samples.ReadDir(p.Short)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), path.Ext(entry.Name()))
		if name == "pods" {
			name = "pod"
		}
		names = append(names, name)
	}
	// The usual ones come first.
	slices.SortStableFunc(names, func(a, b string) int {
		rank := []string{"pod", "node"}
		return slices.Index(rank, b) - slices.Index(rank, a)
	})
	return names
}

// cloudName is what people call a plugin's cloud.
func cloudName(p install.Plugin) string {
	if p.Cloud == "" {
		return p.Short
	}
	return p.Cloud
}

// sampleTable are the clouds and their identities, for help.
func sampleTable() string {
	var b strings.Builder
	for _, p := range install.Plugins() {
		fmt.Fprintf(&b, "  %-13s --identity %s\n", cloudName(p), strings.Join(identities(p), ", "))
	}
	return b.String()
}

// completeClouds completes the names of clouds, each once.
func completeClouds(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range install.Plugins() {
		if name := cloudName(p); strings.HasPrefix(name, begun) && !slices.Contains(args, name) {
			names = append(names, name+"\t"+p.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// pluginOfCloud returns the plugin of a cloud, or of one of its own names.
func pluginOfCloud(name string) (install.Plugin, error) {
	var known []string
	for _, p := range install.Plugins() {
		if name == p.Cloud || name == p.Short || name == p.Name {
			return p, nil
		}
		known = append(known, cloudName(p))
	}
	return install.Plugin{}, usageError(fmt.Errorf("cloud %.80q: want one of %s", name, strings.Join(known, ", ")))
}

// sampleProviders is what stands before the list of providers, in all samples.
const sampleProviders = "\nproviders:\n"

// printConfig prints samples as one configuration.
func (a *app) printConfig(f printFlags, clouds []string) error {
	if f.output != "yaml" && f.output != "json" {
		return usageError(fmt.Errorf("--output %q: want yaml or json", f.output))
	}
	var text string
	var named []string
	for _, cloud := range clouds {
		p, err := pluginOfCloud(cloud)
		if err != nil {
			return err
		}
		if slices.Contains(named, p.Name) {
			continue
		}
		named = append(named, p.Name)
		sample, err := plugins.Samples.ReadFile(sampleFile(p, f.identity))
		if err != nil {
			return usageError(fmt.Errorf("--identity %.80q: %s has %s", f.identity, cloudName(p), strings.Join(identities(p), ", ")))
		}
		if text == "" {
			text = string(sample)
			continue
		}
		head, list, _ := strings.Cut(string(sample), sampleProviders)
		for line := range strings.Lines(head) {
			if strings.HasPrefix(line, "#") {
				text += line
			}
		}
		text += list
	}
	config, err := kubelet.Parse("", []byte(text))
	if err != nil {
		return err
	}
	switch audiences := config.Audiences(); {
	case f.rbac && len(audiences) == 0:
		return usageError(fmt.Errorf("--rbac: no tokens are requested with --identity %s, so there is nothing to allow", f.identity))
	case f.rbac:
		text = cluster.AudienceRole(audiences)
	case len(audiences) > 0:
		text = "# Nodes have to be allowed to request the tokens:\n#   regcred config print --identity " + f.identity + " --rbac " + strings.Join(clouds, " ") + " | kubectl apply -f -\n" + text
	}
	if f.output == "json" {
		if f.rbac {
			return printJSONDocuments(a.out, text)
		}
		text, err = asJSON(text)
		if err != nil {
			return err
		}
	}
	_, err = io.WriteString(a.out, text)
	return err
}

// asJSON is YAML as JSON, with its fields in the order of their names.
func asJSON(text string) (string, error) {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return "", errors.New("encode as JSON: no YAML")
	}
	encoded, err := term.JSON(value)
	return string(encoded), err
}

// printJSONDocuments prints a List of YAML documents, which is how kubectl takes
// several objects in JSON.
func printJSONDocuments(w io.Writer, text string) error {
	list := map[string]any{"apiVersion": "v1", "kind": "List"}
	var items []any
	for document := range strings.SplitSeq(text, "\n---\n") {
		var value any
		if err := yaml.Unmarshal([]byte(document), &value); err != nil {
			return errors.New("encode as JSON: no YAML")
		}
		items = append(items, value)
	}
	list["items"] = items
	return printJSON(w, list)
}
