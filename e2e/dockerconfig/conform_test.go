//go:build linux

package dockerconfig_test

import (
	"testing"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

const config = "DockerConfigCredentialProviderConfig"

// What has no meaning here.
const (
	noPods    = "no pod has an identity in a docker configuration"
	noLife    = "helpers do not tell for how long a login is good"
	noService = "the plugin itself asks nobody: a helper is run once"
	noNetwork = "the plugin itself uses no network"
)

func TestConform(t *testing.T) {
	const empty = `{"auths": {"quay.io.": {"auth": "YTpi"}}}`
	cloudtest.Conform(t, cloudtest.Suite[*vault]{
		Boot:   boot,
		Config: config,
		Foreign: []string{
			"corp.example", "sub.docker.corp.example", "docker.corp.examples", "docker.corp", "xdocker.corp.example", "docker-corp.example", "r16.corp.example", "r1.corp.example.evil.com",
			"index.docker.io", "registry-1.docker.io", "localhost", "vault.example.com",
		},
		Tempting: map[string]fake.Question{
			"everything that is lent": {Args: []string{"--node-fallback=all"}},
			"another file":            {Args: []string{"--file", cloudtest.File(t, empty)}},
			"what is not there":       {Args: []string{"--root-dir=/nonexistent"}, Env: []string{"HOME=/nonexistent"}},
		},
		Malformed: []string{"docker..corp.example/app", "docker_.corp.example/app"},
		Portless:  true,
		Literal:   true,
		NodeOnly:  true,
		Unkept:    true,
		Without: map[string]string{
			"IdentitiesAreKeptApart":           noPods,
			"WhatMakesAPodsIdentity":           noPods,
			"APodThatTheCloudRefusesIsRefused": noPods,
			"AnInvalidAnnotationCausesNoCall":  noPods,
			"AFailureIsItsIdentitysOwn":        noPods,

			"ACredentialIsRefreshedBeforeItEnds":               noLife,
			"ACredentialThatCannotBeRefreshedIsServedToItsEnd": noLife,
			"AWrongClockDoesNotMatter":                         noLife,
			"AnAnswerIsKeptNoLongerThanItsCredentialLives":     noLife,
			"TheNearerSettingWins":                             noLife + ", so the kubelet keeps none; TestTheNearerSettingWins has a login in a file",

			"AFailureIsOneLineAndIsRecorded":        noService + "; what it says is in TestWhatHelpersSay",
			"AHiccupPasses":                         noService,
			"AServiceThatHangsOnceIsAskedAgain":     noService,
			"AnAnswerThatStallsOnceIsAskedForAgain": noService,
			"RetryAfterIsRespected":                 noService,

			"ACheckTellsWhatCameOfItAndKeepsNothing": noNetwork + "; what it reports is in TestACheck",
			"OnlyWhatIsFarAwayIsAskedThroughAProxy":  noNetwork,
			"AProxyThatIsNotThereIsNamed":            noNetwork,
			"AProxyThatRefusesIsNamed":               noNetwork,
			"AProxyThatIsMisspeltIsAMistake":         noNetwork,
			"ARedirectIsNotFollowed":                 noNetwork,
			"TheOperatorsAuthorityIsTrusted":         noNetwork,
			"DebuggingTheRuntimePrintsNoSecret":      noNetwork,
		},
		Help: []string{
			"- registry.example.com", `"*.registry.example.com"`, "- docker.io",
			"--file", "--default-files", "--root-dir", "--helper-path", "--helper-timeout", "config.json", ".dockercfg", "auth.json", "credHelpers", "credsStore",
		},
		Mistakes: []cloudtest.Mistake{
			{Name: "unknown flag of this plugin", Args: []string{"--files=/x"}, Says: "unknown flag"},
			{Name: "a file that is not there", Args: []string{"--file=/nonexistent/config.json"}, Says: "files[1]: /nonexistent/config.json: no such file or directory"},
			{Name: "a file that is a directory", Args: []string{"--file=/"}, Says: "files[1]: /: not a regular file"},
			{Name: "a file that is none", Args: []string{"--file", cloudtest.File(t, `{"auths": hunter2}`)}, Says: "not a docker configuration: invalid JSON at byte 11"},
			{Name: "a relative file", Args: []string{"--file=config.json"}, Says: "files[1]: not an absolute path"},
			{Name: "a file in a variable", Env: []string{"REGISTRY_AUTH_FILE=auth.json"}, Args: []string{"--default-files=maybe"}, Says: "--default-files"},
			{Name: "a relative path of helpers", Args: []string{"--helper-path=bin"}, Says: "helperPath: not an absolute path"},
			{Name: "too long for a helper", Args: []string{"--helper-timeout=60s"}, Says: "helperTimeout: not between 0s and 40s"},
			{Name: "unknown field of this plugin", Config: "file: /x\n", Says: "file"},
		},
	})
}
