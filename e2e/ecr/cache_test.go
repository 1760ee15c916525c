package ecr_test

import "testing"

func TestEachRegionHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	n := bootNode(t, "us-east-1", "us-west-2")
	east := n.ask(question{Image: registry + "/team/app"}).wantCredential(registry, nodeRole)
	n.WantCalls(askIMDS, askECR(ecrAPI))
	const host = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
	west := n.ask(question{Image: host + "/team/app"}).wantCredential(host, nodeRole)
	n.WantCalls(askIMDS, askECR("api.ecr.us-west-2.amazonaws.com"))
	if east.Region != "us-east-1" || west.Region != "us-west-2" || west.password == east.password {
		t.Errorf("tokens of %s and %s", east.Region, west.Region)
	}
}
