package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"regcred/shared/kubelet/pulls"
)

// These complete words of the command line, for shells that have run "regcred
// completion". They ask nothing but files of this node, and keep quiet about what
// goes wrong.

// words completes words, each of which may be followed by a tab and what it is.
func words(list ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return beginning(list, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

func beginning(list []string, begun string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(word string) bool { return !strings.HasPrefix(word, begun) })
}

// completeFlag completes the value of a flag with words.
func completeFlag(cmd *cobra.Command, flag string, list ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, words(list...)); err != nil {
		panic(err) // there is no such flag
	}
}

// completeImages completes images: those that the kubelet has pulled.
func (a *app) completeImages(f *nodeFlags) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		n, err := f.find()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		listing, err := pulls.In(n.Path(n.RootDir)).List()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var images []string
		for _, record := range listing.Records {
			for name := range record.Names {
				images = append(images, name)
			}
		}
		slices.Sort(images)
		return beginning(slices.Compact(images), begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}
