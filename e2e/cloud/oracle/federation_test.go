package oracle

import (
	"encoding/base64"
	"testing"
	"time"
)

func TestTheFederationServiceKnowsBothFormsOfAKeyID(t *testing.T) {
	g := newRig(t)
	bySHA1, bySHA256 := keyIDs(g.Realm.Tenancy(), g.machine.leaf)
	for keyID, algorithm := range map[string]string{bySHA1: "", bySHA256: "SHA256"} {
		if answer := ask(g.Federation(), g.federation(newKey(t, 2048), keyID, algorithm, nil)); answer.Code != 200 {
			t.Errorf("%s: %d %s", keyID, answer.Code, answer.Body)
		}
	}
	g.wantViolations(0)
}

func TestTheFederationServiceRefuses(t *testing.T) {
	other := newRig(t)
	for name, test := range map[string]struct {
		bits      int
		keyID     func(bySHA1, bySHA256 string) string
		algorithm string
		change    func(g rig, document map[string]any)
		status    int
	}{
		"the id of another algorithm": {2048, func(bySHA1, _ string) string { return bySHA1 }, "SHA256", nil, 401},
		"an id without an algorithm":  {2048, nil, "", nil, 401},
		"another tenancy's id": {2048, func(_, bySHA256 string) string {
			return "ocid1.tenancy.oc1..other" + bySHA256[len(Commercial.Tenancy()):]
		}, "SHA256", nil, 401},
		"a short key":                 {1024, nil, "SHA256", nil, 400},
		"no intermediate certificate": {2048, nil, "SHA256", func(_ rig, d map[string]any) { d["intermediateCertificates"] = []string{} }, 401},
		"another machine's certificate": {2048, nil, "SHA256", func(_ rig, d map[string]any) {
			d["certificate"] = base64.StdEncoding.EncodeToString(other.machine.leaf.Raw)
		}, 401},
		"no machine's certificate": {2048, nil, "SHA256", func(g rig, d map[string]any) {
			d["certificate"] = base64.StdEncoding.EncodeToString(g.machine.intermediate.Raw)
		}, 400},
		"an unknown field": {2048, nil, "SHA256", func(_ rig, d map[string]any) { d["purpose"] = "x" }, 400},
		"no base64":        {2048, nil, "SHA256", func(_ rig, d map[string]any) { d["publicKey"] = "%" }, 400},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			bySHA1, keyID := keyIDs(g.Realm.Tenancy(), g.machine.leaf)
			if test.keyID != nil {
				keyID = test.keyID(bySHA1, keyID)
			}
			t.Setenv("GODEBUG", "rsa1024min=0")
			request := g.federation(newKey(t, test.bits), keyID, test.algorithm, func(d map[string]any) {
				if test.change != nil {
					test.change(g, d)
				}
			})
			if answer := ask(g.Federation(), request); answer.Code != test.status {
				t.Errorf("status %d, want %d: %s", answer.Code, test.status, answer.Body)
			}
			g.wantViolations(1)
		})
	}
}

func TestTheClockOfASignature(t *testing.T) {
	for ahead, status := range map[time.Duration]int{0: 200, 4 * time.Minute: 200, 6 * time.Minute: 401, -6 * time.Minute: 401} {
		g := newRig(t)
		_, keyID := keyIDs(g.Realm.Tenancy(), g.machine.leaf)
		request := g.federation(newKey(t, 2048), keyID, "SHA256", nil)
		g.Configure(func(s *Settings) { s.Clock = ahead })
		if answer := ask(g.Federation(), request); answer.Code != status {
			t.Errorf("%s: status %d, want %d", ahead, answer.Code, status)
		}
		g.wantViolations(0)
	}
}
