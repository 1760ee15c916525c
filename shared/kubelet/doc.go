// Package kubelet is what the kubelet does with image credential providers, for
// programs that are not the kubelet: tools that explain a pull, services that
// pull by themselves, installers that must not break a node. The kubelet's own
// code for it is in no library.
//
// # Configurations
//
// [Load] reads a CredentialProviderConfig, a file or a directory of them, with
// the kubelet's own types and decoder. It tells everything that is wrong at
// once, where the kubelet stops at the first, each with the file, the path of
// the field, and what to do. A [Problem] of level [Error] is one that the
// kubelet does not start with. Those of lower levels are what it accepts and
// makes nothing of: a pattern that matches no image, providers in a second YAML
// document, a variable that is there twice. [Config.CheckBinaries] and
// [Config.CheckVersion] say what else may be in the way.
//
// # Images
//
// [ImageName] is what the kubelet makes of an image, and [Config.Match] which
// providers it asks for it: by which pattern, and of those that it does not ask,
// what of the nearest pattern differs.
//
// # Providers
//
// [Runner.Ask] runs a provider as the kubelet does: its environment and
// directory, one line of JSON on stdin, a minute, a strict decoder for the
// answer. It says why an answer is refused, which the kubelet keeps to itself
// because the reason may have a secret in it; here it has none. A pod's service
// account decides as it does in the kubelet whether a provider is run, and with
// which token and annotations. Unlike the kubelet it kills what the provider has
// started, and remembers no answer: each call of Ask runs the provider.
//
// # Order
//
// A [Keyring] puts the credentials of a pod's pull secrets, of the node's docker
// configuration and of providers in the order in which the kubelet tries them.
// [Keyring.Candidates] is what it would pull an image with, one after the other.
// Where the kubelet itself leaves the order to chance the candidates say so.
// [Keyring.MergeSecrets] makes the pull secrets one docker configuration and
// names what there is no place for.
//
// # What it is held to
//
// The rules are those of Kubernetes 1.37. Tests compare the verdicts and the
// order with those of the kubelet's own code, for thousands of made-up
// configurations, images, answers, docker files and secrets. There are three
// differences, all on purpose. A provider without a name is an error here; the
// kubelet accepts it and then does not find the program. The version
// kubelet.config.k8s.io/__internal, which is no API, is refused here and not by
// the kubelet. What is read is bounded here: 16 MiB of a file, 1 MiB of an
// answer, 1 KiB of an image's name.
//
// Passwords and tokens are of type credential.Secret, which prints as
// [redacted]; every text that is made of what others wrote is one line without
// control characters and without what looks like a secret.
//
// Plugins must not import the package: its types alone double the time that a
// plugin takes to start.
package kubelet
