package acr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// cloud is one of the clouds that are built like Azure. Each has its own
// operator, so a token of one must never go to a registry of another.
type cloud struct {
	name string
	// others are more names that Microsoft's tools have for it.
	others []string
	// registries is what its login servers end in. An Azure Stack says that
	// in a file.
	registries string
	// authority is the host of its Entra. Empty means that it is not known.
	authority string
	// assertionAudience is the audience of tokens by which somebody else
	// vouches for an application. Empty means that it is not known.
	assertionAudience string
}

const (
	publicCloud = "AzurePublicCloud"
	stackCloud  = "AzureStackCloud"
)

// clouds are those whose registries are known. Entra in China has a younger name
// too; this one is what the SDK for Go and the vendor's plugin ask, so that
// firewalls let it through. The audiences of the last two are not known.
var clouds = []cloud{
	{publicCloud, []string{"AzureCloud"}, "azurecr.io", "login.microsoftonline.com", "api://AzureADTokenExchange"},
	{"AzureUSGovernmentCloud", []string{"AzureUSGovernment"}, "azurecr.us", "login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"},
	{"AzureChinaCloud", nil, "azurecr.cn", "login.chinacloudapi.cn", "api://AzureADTokenExchangeChina"},
	{"USNat", []string{"USNatCloud", "AzureUSNatCloud"}, "azurecr.eaglex.ic.gov", "login.microsoftonline.eaglex.ic.gov", "api://AzureADTokenExchangeUSNat"},
	{"USSec", []string{"USSecCloud", "AzureUSSecCloud"}, "azurecr.microsoft.scloud", "login.microsoftonline.microsoft.scloud", "api://AzureADTokenExchangeUSSec"},
	{"Bleu", []string{"AzureBleuCloud", "BleuCloud"}, "azurecr.sovcloud-azure.fr", "login.sovcloud-identity.fr", ""},
	{"Delos", []string{"AzureGermanyCloud", "DelosCloud"}, "azurecr.sovcloud-azure.de", "login.sovcloud-identity.de", ""},
}

// is reports whether a cloud is the other one, be it by another name: an Azure
// Stack may be described as a known cloud.
func (c cloud) is(other cloud) bool {
	return c.name == other.name || c.registries == other.registries && c.authority == other.authority
}

// completed returns the cloud with what its description leaves out: that of the
// known cloud whose Entra it has, since that one's tokens are meant for it.
func (c cloud) completed() cloud {
	for _, known := range clouds {
		if c.authority != "" && c.authority == known.authority {
			c.registries, c.assertionAudience = cmp.Or(c.registries, known.registries), known.assertionAudience
			return c
		}
	}
	return c
}

// errAuthority is the error of a cloud whose Entra is not known.
func (c cloud) errAuthority() error {
	return fmt.Errorf("the authority of cloud %s is not known: set --authority", c.name)
}

// findCloud returns the cloud of a name, in whatever case. Azure Stacks are not
// in the table.
func findCloud(name string) (cloud, bool) {
	for _, c := range clouds {
		if strings.EqualFold(c.name, name) || slices.ContainsFunc(c.others, func(other string) bool { return strings.EqualFold(other, name) }) {
			return c, true
		}
	}
	return cloud{}, false
}

// cloudName returns the one name of a cloud that all its names stand for.
func cloudName(name string) string {
	if c, known := findCloud(name); known {
		return c.name
	}
	return strings.ToLower(name)
}

// unknownCloud is the error of a name that no cloud has. Taking it for the
// public one would ask somebody else.
func unknownCloud(name string) error {
	return fmt.Errorf("cloud: none of %s: %.80q", cloudNames(), name)
}

// cloudNames lists what can be configured, for messages.
func cloudNames() string {
	var names []string
	for _, c := range clouds {
		names = append(names, c.name)
	}
	return strings.Join(append(names, stackCloud), ", ")
}
