package icr

import (
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/resolve"
	"regcred/shared/serviceaccount"
)

// ask returns how a provider answers, through aliases as a run does.
func ask(t testing.TB, c *plugin.Cloud, name string, pod *serviceaccount.Token, annotations map[string]string) (credential.Answer, error) {
	t.Helper()
	return resolve.Answer(c, plugintest.Request(t, name, pod, annotations))
}

// describe says in a line what is asked, or that there is nothing to ask.
func describe(a credential.Answer) string {
	if a.Source == nil {
		return "nothing"
	}
	return a.Source.String()
}

const (
	asMachine = "VPC's metadata service for an IAM token as "
	asPod     = "IAM at iam.cloud.ibm.com for a token as service account prod/sa as trusted profile "
	byDefault = "the machine's default trusted profile"
)

func TestForeignHostsHaveNoSource(t *testing.T) {
	plain, every := load(t), load(t, "--pod-profile="+one, "--node-fallback=all", "--api-key-file=/k", "--entitlement-key-file=/e")
	for _, tc := range hosts {
		if _, err := image.ParseRegistry(tc.host); tc.what == account || err != nil {
			continue
		}
		for _, c := range []*plugin.Cloud{plain, every} {
			for _, pod := range []*serviceaccount.Token{nil, testPod(t)} {
				got, err := ask(t, c, tc.host+"/app", pod, map[string]string{profileAnnotation: one})
				if want := tc.what == entitled && c == every; (got.Source != nil) != want || err != nil {
					t.Errorf("%s: got %s, %v", tc.host, describe(got), err)
				}
			}
		}
	}
}

func TestWhoGetsWhat(t *testing.T) {
	file := write(t, "config.yaml", head+`logins:
  De.icr.io: {username: iamapikey, passwordFile: /p}
  private.fr2.icr.io: {username: `+two+`, passwordFile: /q}
`)
	var (
		named   = map[string]string{profileAnnotation: one}
		empty   = map[string]string{profileAnnotation: ""}
		profile = []string{"--pod-profile=" + crn + two}
		all     = []string{"--node-fallback=all"}
		logins  = []string{"--config=" + file}
		key     = []string{"--entitlement-key-file=/e"}
	)
	const nobody = "service account prod/sa names no identity to pull with: annotate it with iam.cloud.ibm.com/image-pull-profile and list that annotation in the kubelet's tokenAttributes, set --pod-profile, or let pods of its namespace pull as the node with --node-fallback="
	for name, tc := range map[string]struct {
		args        []string
		image       string
		pod         bool
		annotations map[string]string
		want        string // of the source, or of the error
	}{
		"the machine":                       {nil, "us.icr.io/app", false, nil, asMachine + byDefault},
		"by a private name":                 {nil, "private.us.icr.io/app", false, nil, asMachine + byDefault},
		"as a profile":                      {[]string{"--profile=" + one}, "us.icr.io/app", false, nil, asMachine + "trusted profile " + one},
		"as a profile by its CRN":           {[]string{"--profile=" + crn + one}, "us.icr.io/app", false, nil, asMachine + "trusted profile " + one},
		"on Power":                          {[]string{"--credential=powervs"}, "us.icr.io/app", false, nil, "the metadata service of Power Virtual Server for an IAM token as " + byDefault},
		"a key":                             {[]string{"--api-key-file=/k"}, "us.icr.io/app", false, nil, "IAM at iam.cloud.ibm.com for a token as the owner of the API key in /k"},
		"a key, and said so":                {[]string{"--api-key-file=/k", "--credential=api-key"}, "us.icr.io/app", false, nil, "IAM at iam.cloud.ibm.com for a token as the owner of the API key in /k"},
		"a key by the private endpoint":     {[]string{"--api-key-file=/k", "--iam-endpoint=private", "--iam-fallback"}, "us.icr.io/app", false, nil, "IAM at private.iam.cloud.ibm.com for a token as the owner of the API key in /k"},
		"an assumed profile":                {[]string{"--api-key-file=/k", "--assume-profile=" + one}, "us.icr.io/app", false, nil, "IAM at iam.cloud.ibm.com for a token as trusted profile " + one + ", by way of IAM at iam.cloud.ibm.com for a token as the owner of the API key in /k"},
		"a profile that the machine's may":  {[]string{"--profile=" + one, "--assume-profile=" + two}, "us.icr.io/app", false, nil, "IAM at iam.cloud.ibm.com for a token as trusted profile " + two + ", by way of " + asMachine + "trusted profile " + one},
		"annotations without a pod":         {nil, "us.icr.io/app", false, named, asMachine + byDefault},
		"a pod that names a profile":        {nil, "us.icr.io/app", true, named, asPod + one},
		"by its CRN":                        {nil, "us.icr.io/app", true, map[string]string{profileAnnotation: crn + one}, asPod + one},
		"a pod that names none":             {nil, "us.icr.io/app", true, nil, nobody},
		"a pod with an empty annotation":    {nil, "us.icr.io/app", true, empty, nobody},
		"a pod by default":                  {profile, "us.icr.io/app", true, nil, asPod + two},
		"a pod with its own":                {profile, "us.icr.io/app", true, named, asPod + one},
		"a pod that may fall back":          {all, "us.icr.io/app", true, nil, asMachine + byDefault},
		"a pod with its own that might":     {all, "us.icr.io/app", true, named, asPod + one},
		"a pod of another namespace":        {[]string{"--node-fallback=stage"}, "us.icr.io/app", true, nil, nobody},
		"a broken annotation":               {all, "us.icr.io/app", true, map[string]string{profileAnnotation: "pull"}, "service account prod/sa: annotation iam.cloud.ibm.com/image-pull-profile: neither the id of a trusted profile"},
		"a login":                           {logins, "de.icr.io/app", false, nil, "/p for the password of user iamapikey at de.icr.io"},
		"as it was written":                 {logins, "DE.icr.io:443/app", false, nil, "/p for the password of user iamapikey at de.icr.io"},
		"a profile's login":                 {logins, "private.fr2.icr.io/app", false, nil, "/q for the password of user " + two + " at private.fr2.icr.io"},
		"another host of the login's":       {logins, "private.de.icr.io/app", false, nil, asMachine + byDefault},
		"a pod at a login's host":           {logins, "de.icr.io/app", true, named, asPod + one},
		"an alias of a login":               {append([]string{"--alias=mirror.test=de.icr.io"}, logins...), "mirror.test/app", false, nil, "the login of de.icr.io is for that host alone"},
		"another host as an alias of one":   {append([]string{"--alias=us.icr.io=de.icr.io"}, logins...), "us.icr.io/app", false, nil, "the login of de.icr.io is for that host alone"},
		"another port as an alias of one":   {append([]string{"--alias=de.icr.io:5000=de.icr.io"}, logins...), "de.icr.io:5000/app", false, nil, "the login of de.icr.io is for that host alone"},
		"an alias":                          {[]string{"--alias=mirror.test=us.icr.io"}, "mirror.test/app", false, nil, asMachine + byDefault},
		"the entitled registry":             {key, "cp.icr.io/cp/app", false, nil, "/e for the password of user cp at cp.icr.io"},
		"the entitled registry without key": {nil, "cp.icr.io/cp/app", false, nil, "nothing"},
		"its alias":                         {append([]string{"--alias=mirror.test=cp.icr.io"}, key...), "mirror.test/app", false, nil, "the login of cp.icr.io is for that host alone"},
		"a pod at the entitled registry":    {key, "cp.icr.io/cp/app", true, named, "service account prod/sa: the entitlement key is the node's: let pods of its namespace pull with it by --node-fallback=kube-system,prod"},
		"a pod that may have the key":       {append([]string{"--node-fallback=prod"}, key...), "cp.icr.io/cp/app", true, named, "/e for the password of user cp at cp.icr.io"},
		"the key is for no other":           {key, "us.icr.io/app", false, nil, asMachine + byDefault},
	} {
		t.Run(name, func(t *testing.T) {
			var pod *serviceaccount.Token
			if tc.pod {
				pod = testPod(t)
			}
			got, err := ask(t, load(t, tc.args...), tc.image, pod, tc.annotations)
			text := describe(got)
			if err != nil {
				text = err.Error()
			}
			if text != tc.want && (err == nil || !strings.Contains(text, tc.want)) {
				t.Errorf("got %s, want %s", text, tc.want)
			}
			if got.PerImage || got.Anonymous != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Whoever has an IAM token has it for every host; whoever else asks, or asks
// otherwise, has another one.
func TestKeys(t *testing.T) {
	key := func(image string, pod *serviceaccount.Token, annotations map[string]string, args ...string) []string {
		a, err := ask(t, load(t, args...), image, pod, annotations)
		if err != nil {
			t.Fatal(err)
		}
		return a.Source.Key()
	}
	sa, sibling, reborn := testPod(t), plugintest.Pod(t, "sa", "uid-1", "pod-2"), plugintest.Pod(t, "sa", "uid-2", "pod-1")
	named := map[string]string{profileAnnotation: one}
	for _, pod := range []*serviceaccount.Token{nil, sa} {
		first := key("us.icr.io/app", pod, named)
		for _, host := range []string{"private.de.icr.io", "icr.io", "registry.bluemix.net", "US.icr.io:443"} {
			if !slices.Equal(key(host+"/other", pod, named), first) {
				t.Errorf("%s has a key of its own", host)
			}
		}
	}
	if !slices.Equal(key("us.icr.io/app", sa, named), key("us.icr.io/app", sibling, map[string]string{profileAnnotation: crn + one})) {
		t.Error("pods of a service account share nothing")
	}
	different := [][]string{
		key("us.icr.io/app", nil, nil),
		key("us.icr.io/app", nil, nil, "--profile="+one),
		key("us.icr.io/app", nil, nil, "--credential=powervs"),
		key("us.icr.io/app", nil, nil, "--api-key-file=/k"),
		key("us.icr.io/app", nil, nil, "--api-key-file=/l"),
		key("us.icr.io/app", nil, nil, "--api-key-file=/k", "--iam-endpoint=https://iam.test.cloud.ibm.com"),
		key("us.icr.io/app", nil, nil, "--api-key-file=/k", "--assume-profile="+one),
		key("us.icr.io/app", nil, nil, "--api-key-file=/k", "--assume-profile="+two),
		key("us.icr.io/app", nil, nil, "--assume-profile="+two),
		key("us.icr.io/app", sa, named),
		key("us.icr.io/app", sa, map[string]string{profileAnnotation: two}),
		key("us.icr.io/app", reborn, named),
		key("us.icr.io/app", sa, named, "--identity-scope=pod"),
		key("us.icr.io/app", sibling, named, "--identity-scope=pod"),
		key("cp.icr.io/app", nil, nil, "--entitlement-key-file=/k"),
	}
	for i, a := range different {
		for _, b := range different[:i] {
			if slices.Equal(a, b) {
				t.Errorf("two identities share %q", a)
			}
		}
		if strings.Contains(strings.Join(a, " "), "c2ln") {
			t.Errorf("a token is in %q", a)
		}
	}
}
