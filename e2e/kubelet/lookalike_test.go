package kubelet_test

import (
	"slices"
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
)

// lookAlikes are hosts of somebody else that are made to be taken for a cloud's,
// or that the cloud has for something else.
var lookAlikes = map[string][]string{
	"aws": {
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn.evil.com", "123456789012.dkr.ecr.us-east-1.evil.amazonaws.com",
		"123456789012.dkr.ecr.amazonaws.com", "dkr.ecr.us-east-1.amazonaws.com", "public.ecr.aws.evil.com", "evilpublic.ecr.aws",
		// Account numbers have twelve digits.
		"12345678901.dkr.ecr.us-east-1.amazonaws.com", "1234567890123.dkr.ecr.us-east-1.amazonaws.com", "12345678901a.dkr.ecr.us-east-1.amazonaws.com",
		// Other services of the same cloud.
		"123456789012.s3.us-east-1.amazonaws.com", "123456789012.dkr.ecs.us-east-1.amazonaws.com", "bucket.s3.amazonaws.com",
		// A partition's suffix under another partition's region.
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn", "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
		// One shape's label before the other shape's suffix.
		"123456789012.dkr.ecr.us-east-1.on.aws", "123456789012.dkr-ecr.us-east-1.amazonaws.com",
		// A region that nobody has.
		"123456789012.dkr.ecr.evil.amazonaws.com",
	},
	"gcp": {
		// The plugin that GKE's nodes have answers all of these.
		"gcr.io.evil.com", "evilgcr.io", "evil-gcr.io", "a.b.gcr.io",
		"us-docker.pkg.dev.evil.com", "us-docker.evil-pkg.dev", "us-docker-pkg.dev", "evil.us-docker.pkg.dev",
		"us-maven.pkg.dev", "docker.pkg.dev", "us-central1.rep.pkg.dev", "docker.a.b.rep.pkg.dev",
		"container.cloud.google.com.evil.com", "foo.google.com", "evil.com/gcr.io",
		"docker.s3nsregistry.fr", "docker.pkg-berlin-build0.goog", "docker.evil.goog",
	},
	"azure": {
		// The vendor's plugin answers some of these, and asks evilazurecr.io with
		// the node's Entra token.
		"evilazurecr.io", "foo.evilazurecr.io", "foo.azurecr.io.evil.com", "azurecr.io", "foo.azurecr.io.azurecr.cn", "foo.azurecr.com",
		"a.b.azurecr.io", "foo.eastus.azurecr.io", "foo.eastus.data.azurecr.io", "foo.privatelink.azurecr.io",
		"foo.eastus.geo.evil.io", "mcr.microsoft.com", "evil.com/foo.azurecr.io", "foo.azurecr.de",
	},
	"oracle": {
		// The vendor's plugin answers all that it is asked about.
		"ocir.io", "foo.iad.ocir.io", "iad.ocir.io.evil.com", "evil-ocir.io", "iadocir.io", "us.ocir.io", "evil.com/iad.ocir.io",
		"ocir.us-ashburn-1.oci.oraclecloud.com.evil.com", "ocir.us-ashburn-1.oraclecloud.com", "x.ocir.us-ashburn-1.oci.oraclecloud.com",
		// matchImages has to be so broad that it matches these.
		"ocir.us-ashburn-1.oci.oraclecloud1.com", "ocir.us-ashburn-1.oci.oraclecloudevil.com",
		// A region under another realm's domain.
		"ocir.us-ashburn-1.oci.oraclegovcloud.com", "ric.ocir.io", "us-ashburn-2.ocir.io",
		// Other services of the same cloud, and another registry of the same company.
		"artifacts.us-ashburn-1.oci.oraclecloud.com", "objectstorage.us-ashburn-1.oraclecloud.com", "container-registry.oracle.com",
	},
	"ibm": {
		"evilicr.io", "us-icr.io", "us.icr.io.evil.com", "icr.io.evil.com", "a.us.icr.io", "us.private.icr.io", "private.private.icr.io", "icr.iox",
		"usa.icr.io", "us22.icr.io", "evil.com/us.icr.io", "registry.xx.bluemix.net", "ng.bluemix.net", "x.registry.ng.bluemix.net",
		// Hosts of IBM's that are no registries of accounts, and read like regions.
		"cp.icr.io", "private.cp.icr.io", "dd.icr.io", "dd0.icr.io", "dd2.us.icr.io", "stg.icr.io", "cp.stg.icr.io",
	},
}

// With matchImages as broad as kubelet allows, only the plugin stands between
// a host and the node's token.
func TestALookAlikeHostGetsNothingAndCausesNoCall(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		own := n.Registry(0)
		hosts := slices.Concat(lookAlikes[n.Name], []string{
			// Registries that are nobody's here.
			"registry.k8s.io", "docker.io", "192.0.2.10",
			// Somebody's host that begins as, ends as or contains ours.
			n.LookAlike, own + ".evil.com", own + "evil.com", "evil.org/" + own,
		})
		kubelet := startKubelet(t, n.nodeSample(matchEverything))
		var images []string
		for _, host := range hosts {
			images = append(images, host+"/project/app")
		}
		images = slices.Compact(slices.Sorted(slices.Values(images)))

		done := kubelet.pull(images...)

		for i, answer := range done.Answers {
			if answer.Found {
				t.Errorf("%s: kubelet would send %d credentials", images[i], len(answer.Credentials))
			}
		}
		if runs := done.PluginRuns[n.Plugin]; runs != len(images) {
			t.Errorf("kubelet ran the plugin %d times for %d images: it did not ask about all", runs, len(images))
		}
		if failed := failures(done); len(failed) != 0 {
			t.Errorf("kubelet logged %q, want no failure: the image is none of the plugin's business", failed)
		}
		n.wantCalls()
	})
}

func TestLookAlikesAreListedForEveryCloud(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		if len(lookAlikes[n.Name]) < 10 {
			t.Errorf("%d hosts", len(lookAlikes[n.Name]))
		}
	})
}

// matchEverything matches hosts of up to twelve labels: a pattern matches only
// as many labels as it has.
func matchEverything(provider *kubeletconfig.CredentialProvider) {
	provider.MatchImages = nil
	for labels := range 12 {
		provider.MatchImages = append(provider.MatchImages, "*"+strings.Repeat(".*", labels))
	}
}
