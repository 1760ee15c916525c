package cloudtest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Suite is what Conform has to know of a cloud and its plugin besides what the
// cloud's Node says itself. F is the cloud's fake.
type Suite[F any] struct {
	Boot func(c *cloud.Cloud) (F, *fake.Node, error)

	// Config is the kind of the plugin's configuration file.
	Config string

	// Foreign are hosts that are no registries of the cloud, many of them made
	// to be taken for one. Tempting are settings that may not change that, by
	// name.
	Foreign  []string
	Tempting map[string]fake.Question
	// Malformed are images that no container runtime can pull.
	Malformed []string
	// Portless is whether hosts with a port are somebody else's, with HTTPS's own
	// too.
	Portless bool
	// Images are whole images, and the hosts that they are answered for; empty:
	// they are somebody else's.
	Images map[string]string
	// Shared are hosts that the machine's credential for Registry(0) is good
	// for, too.
	Shared []string

	// Literal is whether hosts are somebody else's that differ in the case of
	// letters; it goes with Portless.
	Literal bool
	// NodeOnly is whether there is no identity but the machine's: pods have it
	// where that is allowed to them, or none.
	NodeOnly bool
	// Unkept is whether answers are made in every run, of what is kept of others'
	// answers, and the kubelet keeps none by default.
	Unkept bool
	// Without are the tests that have no meaning for the plugin, by name, and
	// why.
	Without map[string]string

	// Ways are ways to a credential besides the machine's identity and a pod's.
	Ways []Way[F]
	// Refused are pods to whom the cloud gives nothing.
	Refused []Refused[F]
	// RefusedSays is what is said of those whom every cloud refuses, by name.
	RefusedSays map[string][]string
	// Insists is whether what a cloud refuses is asked for again, for the case
	// that it has not heard everything yet.
	Insists bool
	// Nameless are pods that name no identity.
	Nameless []Nameless
	// Annotations are annotations of service accounts with values that are none.
	Annotations map[string][]string

	// Commands are command lines that were written for the vendor's plugin.
	Commands [][]string
	// Help are words that help shows.
	Help []string
	// Mistakes are the operator's that this plugin alone can find.
	Mistakes []Mistake
}

// Way is a way to a credential.
type Way[F any] struct {
	Name  string
	Calls []string // what it takes, as in fake.Identity
	Fetch string   // empty: the last of them
	// Refresh is as in fake.Identity. Nil: all of Calls.
	Refresh []string
	Go      func(n *Node[F]) Errand
}

// Errand is one run on a way.
type Errand struct {
	Question
	Owner   string   // of what comes of it
	Secrets []string // that are for the cloud alone
	pod     bool
}

// Refused is a pod to whom the cloud gives nothing.
type Refused[F any] struct {
	Name  string
	Ask   func(n *Node[F]) Question
	Calls []string
	Says  []string
}

// Nameless is a pod that names no identity.
type Nameless struct {
	Name        string
	Args        []string
	Annotations map[string]string
	Says        []string
}

// Mistake is one of the operator's.
type Mistake struct {
	Name   string
	Args   []string
	Env    []string
	Config string // settings of a configuration file; empty: there is none
	Says   string
}

// Conform tests of a plugin that ships whatever is not particular to its cloud.
func Conform[F any](t *testing.T, s Suite[F]) {
	without := maps.Clone(s.Without)
	for _, c := range []struct {
		name string
		test func(Suite[F], *testing.T)
	}{
		{"ARequestThatIsNoneIsOneLine", Suite[F].brokenRequests},
		{"ARequestThatComesInPiecesIsOne", Suite[F].slowRequest},
		{"AnAnswerThatCannotBeWrittenIsAFailure", Suite[F].lostAnswer},
		{"EveryVersionOfTheProtocolIsAnsweredInKind", Suite[F].versions},
		{"TheHostIsAnsweredAsWritten", Suite[F].hosts},
		{"OnlyTheHostOfAnImageCounts", Suite[F].images},
		{"WhatIsSomebodyElsesGetsNothingAndCausesNoCall", Suite[F].foreign},
		{"WhatIsNoReferenceIsRefusedWithoutACall", Suite[F].malformed},
		{"AQuickAnswerIsNotLost", Suite[F].quickAnswers},
		{"OtherCallersThanTheKubeletAreServed", Suite[F].otherCallers},
		{"AnAnswerIsKeptNoLongerThanItsCredentialLives", Suite[F].lives},

		{"ACredentialIsAskedForOnce", Suite[F].hits},
		{"AHitNeedsNoNetwork", Suite[F].hitsOffline},
		{"TheCacheIsForItsOwnerOnly", Suite[F].privateCache},
		{"WithoutACacheEveryRunAsks", Suite[F].noCache},
		{"ACacheThatCannotBeUsedFailsNothing", Suite[F].brokenCache},
		{"AStormMakesOneChainOfCalls", Suite[F].storm},
		{"AStormThatFailsMakesOneAttempt", Suite[F].failingStorm},
		{"ARunThatIsStoppedHoldsUpNobody", Suite[F].stopped},
		{"ACredentialIsRefreshedBeforeItEnds", Suite[F].refresh},
		{"ACredentialThatCannotBeRefreshedIsServedToItsEnd", Suite[F].failingRefresh},
		{"AWrongClockDoesNotMatter", Suite[F].clocks},

		{"IdentitiesAreKeptApart", Suite[F].apart},
		{"WhatMakesAPodsIdentity", Suite[F].identities},
		{"APodThatNamesNobodyIsRefusedUnlessTheNodesIdentityIsAllowed", Suite[F].nameless},
		{"APodOfTheClustersOwnMayPullAsTheNode", Suite[F].fallback},
		{"APodThatTheCloudRefusesIsRefused", Suite[F].refused},
		{"ABrokenServiceAccountTokenCausesNoCall", Suite[F].brokenTokens},
		{"AnOldProtocolCarriesNoPodsIdentity", Suite[F].oldPods},
		{"TheLargestAnnotationsFit", Suite[F].largestAnnotations},
		{"AnInvalidAnnotationCausesNoCall", Suite[F].annotations},
		{"AFailureIsItsIdentitysOwn", Suite[F].ownFailure},

		{"AFailureIsOneLineAndIsRecorded", Suite[F].failures},
		{"ALostIdentityIsToldOf", Suite[F].lostIdentity},
		{"AHiccupPasses", Suite[F].hiccups},
		{"AServiceThatHangsOnceIsAskedAgain", Suite[F].hangs},
		{"AnAnswerThatStallsOnceIsAskedForAgain", Suite[F].stalls},
		{"ASlowServiceIsWaitedFor", Suite[F].slow},
		{"RetryAfterIsRespected", Suite[F].retryAfter},
		{"ABurstAfterAFailureMakesOneAttempt", Suite[F].burst},
		{"AMessageFromOutsideIsOneBoundedLine", Suite[F].messages},

		{"OnlyWhatIsFarAwayIsAskedThroughAProxy", Suite[F].proxies},
		{"AProxyThatIsNotThereIsNamed", Suite[F].noProxy},
		{"AProxyThatRefusesIsNamed", Suite[F].refusingProxy},
		{"AProxyThatIsMisspeltIsAMistake", Suite[F].brokenProxy},
		{"ARedirectIsNotFollowed", Suite[F].redirects},
		{"TheOperatorsAuthorityIsTrusted", Suite[F].authorities},

		{"ASecretIsWrittenNowhere", Suite[F].secrecy},
		{"DebuggingTheRuntimePrintsNoSecret", Suite[F].debugging},
		{"NoCoreIsDumped", Suite[F].coreDumps},
		{"ARunIsClosedToItsOwnUser", Suite[F].closed},
		{"ASignalEndsARunAndLeavesNothing", Suite[F].signals},
		{"TheSurroundingsOfARunDoNotMatter", Suite[F].surroundings},

		{"TheVendorsCommandLineIsAccepted", Suite[F].commands},
		{"HelpShowsAConfigurationOfTheKubelet", Suite[F].help},
		{"TheVersionIsPrinted", Suite[F].version},
		{"ACheckTellsWhatCameOfItAndKeepsNothing", Suite[F].check},
		{"AMistakeOfTheOperatorIsExitCode2", Suite[F].mistakes},
		{"TheNearerSettingWins", Suite[F].precedence},
		{"AnExplanationAsksNobody", Suite[F].explained},
		{"AnExplanationTellsWhatIsRecorded", Suite[F].explainedFailure},
		{"AnAliasIsAnsweredWithItsRegistrysCredential", Suite[F].aliases},
		{"TheLogSaysNoSecret", Suite[F].log},
		{"ALogThatCannotBeWrittenFailsNothing", Suite[F].brokenLog},
	} {
		if _, found := without[c.name]; found {
			delete(without, c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(s, t)
		})
	}
	for name := range without {
		t.Errorf("there is no test %s to do without", name)
	}
}

// Node is a booted machine under a test.
type Node[F any] struct {
	Runner
	*fake.Node
	Fake  F
	Cloud *cloud.Cloud
}

// Boot starts a machine that lives as long as the test.
func (s Suite[F]) boot(t *testing.T) *Node[F] {
	t.Helper()
	return s.bootIn(t, Apart(t))
}

func (s Suite[F]) bootIn(t *testing.T, c *cloud.Cloud) *Node[F] {
	t.Helper()
	f, node, err := s.Boot(c)
	if err != nil {
		t.Fatal(err)
	}
	plugin := Binary(node.Plugin)
	// Go repeats a test's old result unless a file that the test looked at has
	// changed.
	if _, err := os.Stat(plugin); err != nil {
		t.Fatal(err)
	}
	return &Node[F]{Runner: Runner{T: t, Cloud: c, Plugin: plugin}, Node: node, Fake: f, Cloud: c}
}

// In is the node as a subtest sees it.
func (n *Node[F]) In(t *testing.T) *Node[F] {
	inner := *n
	inner.T = t
	return &inner
}

// WantLogin fails the test unless the answer is the owner's login for the one
// host of the image, as the image writes it, which pulls the image.
func (n *Node[F]) WantLogin(a Answer, image, owner string) Login {
	n.T.Helper()
	host, _, _ := strings.Cut(image, "/")
	password, keep := a.WantLogin(host, n.Username)
	whose, err := n.Whose(image, n.Username, password)
	if err != nil {
		n.T.Fatal(err)
	}
	if whose != owner {
		n.T.Errorf("the credential of %s, want that of %s", whose, owner)
	}
	return Login{Password: password, Keep: keep}
}

// Login is what the kubelet was given.
type Login struct {
	Password string
	Keep     time.Duration // by the kubelet
}

// Own is the machine's own question for an image of its registry.
func (n *Node[F]) Own(args ...string) Question { return With(n.Question(n.Image(0)), args...) }

// Pod is the question of a pod of a service account that has an identity.
func (n *Node[F]) Pod(account oidc.ServiceAccount, identity fake.Identity, args ...string) Question {
	n.T.Helper()
	q, err := n.PodQuestion(n.Image(0), account, identity)
	if err != nil {
		n.T.Fatal(err)
	}
	return With(q, args...)
}

// Token is a token of a service account that is for an audience for so long.
func (n *Node[F]) Token(account oidc.ServiceAccount, audience string, life time.Duration) string {
	n.T.Helper()
	token, err := n.Issuer.Token(account, audience, life)
	if err != nil {
		n.T.Fatal(err)
	}
	return token
}

// With is a question with more arguments.
func With(q Question, args ...string) Question {
	q.Args = slices.Concat(q.Args, args)
	return q
}

// for is a question for another image.
func forImage(q Question, image string) Question {
	q.Image = image
	return q
}

// The two ways that every cloud has, and the first alone where pods have no
// identities.
const (
	machineWay = "machine"
	podWay     = "pod"
)

// ways runs a test for every way to a credential, each from a machine of its
// own. A machine is booted in prepare's cloud if there is one.
func (s Suite[F]) ways(t *testing.T, test func(n *Node[F], way Way[F], e Errand)) {
	t.Helper()
	s.waysIn(t, func(*cloud.Cloud) {}, test)
}

func (s Suite[F]) waysIn(t *testing.T, prepare func(*cloud.Cloud), test func(n *Node[F], way Way[F], e Errand)) {
	t.Helper()
	run := func(name string, find func(n *Node[F]) (Way[F], Errand)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Apart(t)
			prepare(c)
			n := s.bootIn(t, c)
			way, errand := find(n)
			if last := way.Calls[len(way.Calls)-1]; way.Fetch == "" {
				way.Fetch = serviceOf(last) + " " + operationOf(last)
			}
			if way.Refresh == nil {
				way.Refresh = way.Calls
			}
			test(n, way, errand)
		})
	}
	run(machineWay, func(n *Node[F]) (Way[F], Errand) {
		return Way[F]{Name: machineWay, Calls: n.Machine.Calls, Refresh: n.Machine.Refresh, Fetch: n.Machine.Fetch}, Errand{Question: n.Own(), Owner: n.Machine.Owner}
	})
	if !s.NodeOnly {
		run(podWay, func(n *Node[F]) (Way[F], Errand) {
			shop := n.Workload(fake.Shop)
			q := n.Pod(fake.Shop, shop)
			return Way[F]{Name: podWay, Calls: shop.Calls, Refresh: shop.Refresh, Fetch: shop.Fetch},
				Errand{Question: q, Owner: shop.Owner, Secrets: []string{signature(q.Token)}, pod: true}
		})
	}
	for _, way := range s.Ways {
		run(way.Name, func(n *Node[F]) (Way[F], Errand) { return way, way.Go(n) })
	}
}

// signature is what of a token proves anything.
func signature(token string) string { return token[strings.LastIndex(token, ".")+1:] }

// eachService runs a test for every service on every way to a credential. To
// each the cloud is in good order and the cache empty.
func (s Suite[F]) eachService(t *testing.T, test func(n *Node[F], e Errand, service, host string)) {
	t.Helper()
	s.eachServiceIn(t, func(*cloud.Cloud) {}, test)
}

func (s Suite[F]) eachServiceIn(t *testing.T, prepare func(*cloud.Cloud), test func(n *Node[F], e Errand, service, host string)) {
	t.Helper()
	s.waysIn(t, prepare, func(n *Node[F], way Way[F], e Errand) {
		names, hosts := services(way.Calls)
		for _, service := range names {
			n.T.Run(service, func(t *testing.T) {
				n.Cloud.Faults.Clear()
				n.Cloud.Calls.Reset()
				Purge(t, n.Cloud)
				test(n.In(t), e, service, hosts[service])
			})
		}
	})
}

// services are the services of calls, in order, each once, and the hosts at
// which they are.
func services(calls Calls) (names []string, hosts map[string]string) {
	hosts = map[string]string{}
	for _, call := range calls {
		name, host := serviceOf(call), hostOf(call)
		if _, ok := hosts[name]; !ok {
			names = append(names, name)
			hosts[name] = host
		}
	}
	return names, hosts
}

// far are those of calls that leave the machine.
func (n *Node[F]) far(calls Calls) Calls {
	return slices.DeleteFunc(slices.Clone(calls), func(call string) bool { return slices.Contains(n.Local, serviceOf(call)) })
}
