package icr

import (
	"slices"
	"strings"
	"testing"
)

func TestWhereIAMIs(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"iam.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=public"}, []string{"iam.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=private"}, []string{"private.iam.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=private", "--iam-fallback"}, []string{"private.iam.cloud.ibm.com", "iam.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=us-south"}, []string{"private.us-south.iam.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=ca-mon", "--iam-fallback"}, []string{"private.ca-mon.iam.cloud.ibm.com", "iam.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=https://IAM.test.cloud.ibm.com/"}, []string{"iam.test.cloud.ibm.com"}},
		{[]string{"--iam-endpoint=https://iam.example.com:8443"}, []string{"iam.example.com:8443"}},
	} {
		if got := load(t, tc.args...).Provider.(*provider).endpoints.iam; !slices.Equal(got, tc.want) {
			t.Errorf("%v: got %v, want %v", tc.args, got, tc.want)
		}
	}
}

func TestProfiles(t *testing.T) {
	for text, ok := range map[string]bool{
		one: true,
		"Profile-ABCDEF00-2222-3333-4444-555555555555": true,
		crn + one:                         true,
		"":                                false,
		"pull":                            false,
		"Profile-":                        false,
		one[:len(one)-1]:                  false,
		one + "0":                         false,
		one + "\n":                        false,
		" " + one:                         false,
		"iam-" + one:                      false,
		strings.ToLower(one):              false,
		strings.ReplaceAll(one, "1", "g"): false,
		strings.ReplaceAll(one, "-", "_"): false,
		"Profile-111111112222-3333-4444-5555-55555555":   false,
		"ServiceId-11111111-2222-3333-4444-555555555555": false,
		crn:              false,
		crn + "pull":     false,
		crn + one + ":x": false,
		strings.Replace(crn, "iam-identity", "iam", 1) + one:    false,
		strings.Replace(crn, ":a/", ":s/", 1) + one:             false,
		strings.Replace(crn, "profile:", "serviceid:", 1) + one: false,
		strings.Replace(crn, "bluemix", `blue"mix`, 1) + one:    false,
	} {
		got, err := parseProfile(text)
		if (err == nil) != ok || ok && string(got) != text[strings.LastIndex(text, ":")+1:] || !ok && got != noProfile {
			t.Errorf("%q: got %q, %v", text, string(got), err)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	config := func(text string) []string {
		return []string{"--config=" + write(t, "config.yaml", head+text)}
	}
	for want, args := range map[string][]string{
		`credential: none of vpc, powervs, api-key: "vsi"`:                                             {"--credential=vsi"},
		"apiKeyFile: missing, and credential api-key needs it":                                         {"--credential=api-key"},
		"apiKeyFile: not used with credential vpc":                                                     {"--credential=vpc", "--api-key-file=/k"},
		"apiKeyFile: not used with credential powervs":                                                 {"--credential=powervs", "--api-key-file=/k"},
		`apiKeyFile: not an absolute path: "k"`:                                                        {"--api-key-file=k"},
		"profile: not used with credential api-key; assumeProfile names one":                           {"--api-key-file=/k", "--profile=" + one},
		"profile: neither the id of a trusted profile, Profile-00000000-0000":                          {"--profile=pull"},
		"assumeProfile: neither the id of a trusted profile":                                           {"--assume-profile=pull"},
		"podProfile: neither the id of a trusted profile":                                              {"--pod-profile=iam-" + one},
		"iamEndpoint: none of public, private, a region, or a URL such as https:":                      {"--iam-endpoint=us"},
		"iamEndpoint: none of public, private, a region, or":                                           {"--iam-endpoint=http://iam.cloud.ibm.com"},
		"iamEndpoint: none of public, private, a region":                                               {"--iam-endpoint=https://a@iam.cloud.ibm.com"},
		"iamEndpoint: none of public, private":                                                         {"--iam-endpoint=https://iam.cloud.ibm.com/identity"},
		"iamEndpoint: none of public":                                                                  {"--iam-endpoint="},
		"iamEndpoint: invalid registry host":                                                           {"--iam-endpoint=https://iam_1.test"},
		"iamFallback: the public endpoint is the one that is asked":                                    {"--iam-fallback"},
		`entitlementKeyFile: not an absolute path: "e"`:                                                {"--entitlement-key-file=e"},
		`logins["us.evil.io"]: not a registry of IBM Cloud`:                                            config("logins: {us.evil.io: {username: iamapikey, passwordFile: /p}}"),
		`logins["cp.icr.io"]: not a registry of IBM Cloud`:                                             config("logins: {cp.icr.io: {username: cp, passwordFile: /p}}"),
		`logins["us_.icr.io"]: invalid registry host`:                                                  config("logins: {us_.icr.io: {username: iamapikey, passwordFile: /p}}"),
		`logins["us.icr.io"]: there twice`:                                                             config("logins: {US.icr.io: {username: iamapikey, passwordFile: /p}, us.icr.io: {username: iamapikey, passwordFile: /p}}"),
		`logins["us.icr.io"].username: neither iamapikey nor the id of a trusted profile: "iambearer"`: config("logins: {us.icr.io: {username: iambearer, passwordFile: /p}}"),
		`logins["us.icr.io"].passwordFile: not an absolute path: ""`:                                   config("logins: {us.icr.io: {username: iamapikey}}"),
		`unknown field "apiKey"`:                                                                       config("apiKey: hunter2"),
	} {
		if _, err := tryLoad(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A key of one of IBM's tools is in the environment of many people, and not meant
// for this one.
func TestTheEnvironmentNamesNoIdentity(t *testing.T) {
	c, _, err := Plugin().Load(nil, func(name string) string {
		if strings.HasPrefix(name, "IBMCLOUD_") || strings.HasPrefix(name, "IC_") || strings.HasPrefix(name, "IBM_") {
			return "hunter2hunter2"
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Provider.(*provider).node.String(); got != asMachine+byDefault {
		t.Errorf("got %s", got)
	}
}
