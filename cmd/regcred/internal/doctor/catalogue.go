package doctor

import "strings"

// Check is one thing that is looked at.
type Check struct {
	// Code begins those of its findings, and Name is what it is run by.
	Code, Name string

	// About is what it looks at, in a phrase.
	About string

	// Findings are what it may find besides that all is well.
	Findings []Finding

	// late means that it asks others, or waits for something: it is started
	// after those that do not.
	late bool

	run func(*subject, *recorder)
}

// Finding is a kind of result. Codes and names stay what they are; a code is
// not given to another finding once it is gone.
type Finding struct {
	Code, Name string
	Level      Level
	About      string
}

// Catalogue are all checks, in the order in which their results are told.
func Catalogue() []Check {
	return []Check{
		{"RC00", "doctor", "the checks themselves", []Finding{
			{"RC0001", "check-broken", Warning, "a check ended by a fault of its own"},
			{"RC0002", "check-unfinished", Warning, "a check did not come to its end in time"},
		}, false, nil},
		{"RC01", "kubelet", "the kubelet that runs here, and its flags for credential providers", []Finding{
			{"RC0101", "kubelet-missing", Error, "no kubelet runs here"},
			{"RC0102", "kubelet-unreadable", Warning, "something of the kubelet cannot be read"},
			{"RC0103", "kubelet-note", Info, "something worth knowing about the kubelet that was found"},
			{"RC0104", "providers-off", Warning, "the kubelet runs without credential providers"},
			{"RC0105", "flag-missing", Error, "one of the two flags of credential providers without the other"},
		}, false, checkKubelet},
		{"RC02", "configuration", "the configuration of the credential providers, by the kubelet's own rules", []Finding{
			{"RC0201", "configuration-invalid", Error, "the kubelet does not start with the configuration"},
			{"RC0202", "configuration-doubtful", Warning, "the kubelet accepts what nobody can have meant"},
			{"RC0203", "configuration-note", Info, "something worth knowing about the configuration"},
			{"RC0204", "configuration-writable", Error, "others than root can write the configuration, which says what root runs"},
			{"RC0205", "cache-duration-long", Warning, "the kubelet may keep an answer for longer than most credentials live"},
			{"RC0206", "pattern-shared", Info, "two providers are asked for the same images"},
			{"RC0207", "image-unmatched", Warning, "no provider is asked for an image that was given"},
		}, false, checkConfiguration},
		{"RC03", "versions", "whether this kubelet knows what the configuration says", []Finding{
			{"RC0301", "kubelet-too-old", Error, "the kubelet knows no credential providers of this kind"},
			{"RC0302", "token-attributes-off", Error, "tokenAttributes with a kubelet that does not have them, or has them turned off"},
			{"RC0303", "directory-unknown", Error, "a directory of configurations with a kubelet that reads one file"},
			{"RC0304", "cache-type-unknown", Error, "cacheType with a kubelet that does not know the field"},
		}, true, checkVersions},
		{"RC04", "binaries", "the providers' programs: there, executable, root's alone, and of one release", []Finding{
			{"RC0401", "bin-dir-missing", Error, "the directory of the programs is not there"},
			{"RC0402", "binary-missing", Error, "a provider's program is not there"},
			{"RC0403", "binary-not-executable", Error, "a provider's program cannot be executed"},
			{"RC0404", "binary-writable", Error, "others than root can replace what root runs"},
			{"RC0405", "binary-broken", Error, "a provider's program does not start"},
			{"RC0406", "binary-foreign", Info, "a provider's program is not of this suite"},
			{"RC0407", "binary-other-release", Warning, "programs of this suite are of several releases"},
		}, true, checkBinaries},
		{"RC05", "settings", "the settings of this suite's plugins", []Finding{
			{"RC0501", "settings-invalid", Error, "a plugin refuses its flags, its environment or its configuration file"},
		}, true, checkSettings},
		{"RC06", "identity", "what each plugin can obtain: metadata service, identity, permission", []Finding{
			{"RC0601", "metadata-unreachable", Error, "the cloud's metadata service does not answer"},
			{"RC0602", "identity-missing", Error, "the node cannot prove an identity to its cloud"},
			{"RC0603", "credential-refused", Error, "the cloud gives no credential for an image"},
			{"RC0604", "image-not-served", Warning, "a pattern hands images to a plugin whose registry they are not of"},
			{"RC0605", "cloud-slow", Warning, "the cloud takes its time, in which pods wait"},
		}, true, checkIdentity},
		{"RC07", "proxy", "the proxy that the kubelet's environment names", []Finding{
			{"RC0701", "proxy-metadata", Warning, "requests for a metadata service go to a proxy"},
			{"RC0702", "proxy-invalid", Error, "a variable names no proxy"},
			{"RC0703", "proxy-unreachable", Error, "the proxy does not answer"},
			{"RC0705", "proxy-metadata-unused", Info, "NO_PROXY lacks metadata services, and no program is there that would mind"},
			{"RC0704", "proxy-used", Info, "clouds are asked through a proxy"},
		}, true, checkProxy},
		{"RC08", "clock", "the node's clock", []Finding{
			{"RC0801", "clock-unsynchronised", Warning, "nothing keeps the clock right"},
			{"RC0802", "clock-off", Warning, "the clock is more than half a minute off"},
			{"RC0803", "clock-wrong", Error, "the clock is so far off that signatures and certificates are refused"},
		}, true, checkClock},
		{"RC09", "cache", "the directory in which plugins keep credentials", []Finding{
			{"RC0901", "cache-untrusted", Warning, "plugins do not use the directory, since others may look into it"},
			{"RC0902", "cache-on-disk", Warning, "credentials are written to a disk"},
			{"RC0903", "cache-full", Warning, "nothing can be kept in the directory"},
			{"RC0904", "cache-off", Info, "a plugin keeps nothing, so every run asks the cloud"},
		}, true, checkCache},
		{"RC10", "audience", "whether the kubelet may request tokens of service accounts for the providers that want them", []Finding{
			{"RC1001", "audience-forbidden", Error, "the API server does not let the kubelet request tokens for an audience"},
			{"RC1003", "audience-for-some", Info, "the kubelet may request tokens for an audience for some service accounts alone"},
			{"RC1002", "api-server-unreachable", Error, "the API server does not answer, or refuses the kubelet"},
		}, true, checkAudience},
		{"RC11", "metrics", "what the kubelet counts of its providers", []Finding{
			{"RC1101", "plugin-errors", Warning, "runs of a provider have failed since the kubelet started"},
			{"RC1102", "plugin-slow", Warning, "runs of a provider took more than ten seconds"},
			{"RC1103", "configuration-old", Error, "the kubelet runs with another configuration than the one on disk"},
		}, true, checkMetrics},
		{"RC12", "expiry", "passwords, tokens and certificates on the node that end by themselves", []Finding{
			{"RC1201", "login-expired", Error, "a password or token in a file has ended"},
			{"RC1202", "login-ends-soon", Warning, "a password or token in a file ends soon"},
			{"RC1203", "certificate-expired", Error, "a certificate has ended"},
			{"RC1204", "certificate-ends-soon", Warning, "a certificate ends soon"},
			{"RC1205", "secret-file-open", Warning, "any user of the node can read a private key"},
			{"RC1206", "file-unreadable", Error, "a file that the settings name cannot be read"},
		}, true, checkExpiry},
		{"RC13", "journal", "what the kubelet has logged of its providers", []Finding{
			{"RC1301", "journal-errors", Warning, "the kubelet could not provide credentials for an image"},
		}, true, checkJournal},
		{"RC14", "leftovers", "what other ways to registries have left behind", []Finding{
			{"RC1401", "flag-obsolete", Warning, "a flag of the kubelet for credentials that no longer does anything"},
			{"RC1402", "docker-config-ends-search", Warning, "a docker configuration without logins hides the ones after it"},
			{"RC1403", "docker-config-unused", Warning, "the kubelet does not use what a docker configuration says"},
			{"RC1404", "docker-config-first", Info, "a login in a docker configuration is tried before what a provider answers"},
			{"RC1405", "docker-config-broken", Warning, "a docker configuration cannot be read"},
		}, false, checkLeftovers},
		{"RC15", "registry", "the way to the registries", []Finding{
			{"RC1501", "registry-unresolvable", Error, "a registry's name has no address"},
			{"RC1502", "registry-unreachable", Error, "a registry cannot be connected to, or not safely"},
		}, true, checkRegistry},
	}
}

// find returns the finding of a name.
func (c Check) find(name string) (Finding, bool) {
	for _, f := range c.Findings {
		if f.Name == name {
			return f, true
		}
	}
	return Finding{}, false
}

// is reports whether the check, or one of its findings, goes by a name or code.
func (c Check) is(name string) bool {
	if c.Name == name || strings.EqualFold(c.Code, name) || strings.EqualFold(c.Code+"00", name) {
		return true
	}
	for _, f := range c.Findings {
		if f.is(name) {
			return true
		}
	}
	return false
}

func (f Finding) is(name string) bool { return f.Name == name || strings.EqualFold(f.Code, name) }
