package acr

import (
	"strings"
	"testing"
)

func TestEnvironmentFile(t *testing.T) {
	const text = `{"name":"AzureStackCloud","activeDirectoryEndpoint":"https://Login.my.cloud/","containerRegistryDNSSuffix":"azurecr.my.cloud",
		"resourceManagerEndpoint":"https://management.my.cloud/","tokenAudience":"https://management.my.cloud/"}`
	for name, text := range map[string]string{"plain": text, "with a mark": "\xef\xbb\xbf" + text, "with a dot": strings.Replace(text, "azurecr.my", ".AzureCR.my", 1)} {
		if got, err := parseEnvironment([]byte(text)); err != nil || got.name != stackCloud || got.authority != "login.my.cloud" || got.registries != "azurecr.my.cloud" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for text, want := range map[string]string{
		"{":                                      "is not the JSON of an environment",
		`{"containerRegistryDNSSuffix":[5]}`:     "is not the JSON of an environment",
		`{"containerRegistryDNSSuffix":"*"}`:     "containerRegistryDNSSuffix: ",
		`{"containerRegistryDNSSuffix":"cloud"}`: "containerRegistryDNSSuffix: ",
		`{"activeDirectoryEndpoint":"http://login.my.cloud/"}`:      "activeDirectoryEndpoint: ",
		`{"activeDirectoryEndpoint":"https://adfs.my.cloud/adfs"}`:  "activeDirectoryEndpoint: ",
		`{"activeDirectoryEndpoint":"https://login.my.cloud/?a=b"}`: "activeDirectoryEndpoint: ",
		`{"activeDirectoryEndpoint":"https://"}`:                    "activeDirectoryEndpoint: ",
	} {
		if got, err := parseEnvironment([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func TestAzureStack(t *testing.T) {
	file := write(t, "env.json", `{"activeDirectoryEndpoint":"https://login.my.cloud/","containerRegistryDNSSuffix":"azurecr.my.cloud"}`)
	app := []string{"--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s", "--tenant-id=" + tenant}
	s := load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, append(app, "--cloud=azurestackcloud")...)
	source, err := ask(t, s, "a.azurecr.my.cloud/app", nil, nil)
	if want := "a.azurecr.my.cloud by " + client + " of " + tenant + " at login.my.cloud: client-secret /s, tenant " + tenant; err != nil || describe(source) != want {
		t.Errorf("got %v, %v", describe(source), err)
	}
	if _, err := ask(t, s, "a.azurecr.io/app", nil, nil); err == nil || !strings.Contains(err.Error(), "of cloud AzurePublicCloud, and the identity of AzureStackCloud") {
		t.Errorf("a public registry: %v", err)
	}
	// Other clouds have no file.
	if s := load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=/absent"}, "--cloud=AzureCloud"); s.node.cloud.name != publicCloud {
		t.Errorf("got %+v", s.node.cloud)
	}
	// Without a file, flags say where everything is.
	s = load(t, nil, append(app, "--cloud=AzureStackCloud", "--registry-suffix=azurecr.my.cloud")...)
	if _, err := ask(t, s, "a.azurecr.my.cloud/app", nil, nil); err == nil || !strings.Contains(err.Error(), "set --authority") {
		t.Errorf("without an authority: %v", err)
	}
	if _, err := tryLoad([]string{"AZURE_ENVIRONMENT_FILEPATH=/absent"}, "--cloud=AzureStackCloud"); err == nil || !strings.Contains(err.Error(), "AZURE_ENVIRONMENT_FILEPATH /absent: no such file") {
		t.Errorf("without the file: %v", err)
	}
	// One without registries of its own is one still.
	file = write(t, "env.json", `{"activeDirectoryEndpoint":"https://login.my.cloud/"}`)
	s = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, "--cloud=AzureStackCloud")
	if source, err := ask(t, s, "a.azurecr.my.cloud/app", nil, nil); err != nil || source != nil {
		t.Errorf("without login servers: got %v, %v", source, err)
	}
	// It may be a cloud that has a name of its own elsewhere.
	file = write(t, "env.json", `{"containerRegistryDNSSuffix":"azurecr.eaglex.ic.gov"}`)
	s = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, "--cloud=AzureStackCloud")
	if source, err := ask(t, s, "a.azurecr.eaglex.ic.gov/app", nil, nil); err != nil || source == nil {
		t.Errorf("got %v, %v", source, err)
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add([]byte(`{"activeDirectoryEndpoint":"https://login.my.cloud/","containerRegistryDNSSuffix":"azurecr.my.cloud"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseEnvironment(text)
		if err == nil && strings.ContainsAny(c.authority+c.registries, "/@?# \\\n*") {
			t.Errorf("%q: got %+v", text, c)
		}
	})
}
