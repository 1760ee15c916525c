package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kubelet/pkg/apis/credentialprovider"
	"k8s.io/kubelet/pkg/apis/credentialprovider/install"
	v1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"k8s.io/kubelet/pkg/apis/credentialprovider/v1alpha1"
	"k8s.io/kubelet/pkg/apis/credentialprovider/v1beta1"

	"regcred/shared/credential"
	"regcred/shared/protocol"
)

const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"

// kubeletCodecs are built as the kubelet builds them for its plugins.
func kubeletCodecs() (encoder func(runtime.Object, runtime.GroupVersioner) []byte, decoder runtime.Decoder) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	encode := func(object runtime.Object, version runtime.GroupVersioner) []byte {
		data, err := runtime.Encode(codecs.EncoderForVersion(info.Serializer, version), object)
		if err != nil {
			panic(err)
		}
		return data
	}
	return encode, codecs.UniversalDecoder()
}

func TestReadsWhatTheKubeletWrites(t *testing.T) {
	encode, _ := kubeletCodecs()
	sent := &credentialprovider.CredentialProviderRequest{
		Image:                     "registry.example.com/app",
		ServiceAccountToken:       token,
		ServiceAccountAnnotations: map[string]string{"example.com/role": "pull"},
	}
	for version, want := range map[runtime.GroupVersioner]protocol.Request{
		v1.SchemeGroupVersion: {
			APIVersion: "credentialprovider.kubelet.k8s.io/v1", Image: sent.Image,
			ServiceAccountToken: credential.NewSecret(token), ServiceAccountAnnotations: sent.ServiceAccountAnnotations,
		},
		v1beta1.SchemeGroupVersion:  {APIVersion: "credentialprovider.kubelet.k8s.io/v1beta1", Image: sent.Image},
		v1alpha1.SchemeGroupVersion: {APIVersion: "credentialprovider.kubelet.k8s.io/v1alpha1", Image: sent.Image},
	} {
		got, err := protocol.Read(bytes.NewReader(encode(sent, version)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", version.Identifier(), got, err)
		}
	}
}

func TestTheKubeletReadsWhatIsWritten(t *testing.T) {
	_, decoder := kubeletCodecs()
	for name, tc := range map[string]struct {
		response protocol.Response
		duration time.Duration
		auth     map[string]credentialprovider.AuthConfig
	}{
		"credential": {
			protocol.Response{CacheKey: protocol.CacheRegistry, CacheDuration: 90*time.Minute + 300*time.Millisecond, Registry: "r.example.com:443", Username: "AWS", Password: `pass"word<&>`},
			90 * time.Minute,
			map[string]credentialprovider.AuthConfig{"r.example.com:443": {Username: "AWS", Password: `pass"word<&>`}},
		},
		"anonymous after it was refused": {
			protocol.Response{CacheKey: protocol.CacheRegistry, Registry: "r.example.com", Username: "AWS", Password: "password", Anonymous: "*.example.com"},
			0,
			map[string]credentialprovider.AuthConfig{"r.example.com": {Username: "AWS", Password: "password"}, "*.example.com": {}},
		},
		"no credential":     {protocol.Response{CacheKey: protocol.CacheRegistry}, 0, map[string]credentialprovider.AuthConfig{}},
		"for one image":     {protocol.Response{CacheKey: protocol.CacheImage, CacheDuration: 999 * time.Millisecond}, 0, map[string]credentialprovider.AuthConfig{}},
		"negative duration": {protocol.Response{CacheKey: protocol.CacheImage, CacheDuration: -time.Hour}, 0, map[string]credentialprovider.AuthConfig{}},
	} {
		for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
			t.Run(name+" "+version, func(t *testing.T) {
				var stdout bytes.Buffer
				apiVersion := "credentialprovider.kubelet.k8s.io/" + version
				if err := protocol.Write(&stdout, apiVersion, tc.response); err != nil {
					t.Fatal(err)
				}
				object, kind, err := decoder.Decode(stdout.Bytes(), nil, nil)
				if err != nil {
					t.Fatalf("the kubelet refuses %s: %v", stdout.Bytes(), err)
				}
				if kind.GroupVersion().String() != apiVersion {
					t.Errorf("answered in %s", kind.GroupVersion())
				}
				got := object.(*credentialprovider.CredentialProviderResponse)
				if got.CacheDuration == nil || got.CacheDuration.Duration != tc.duration {
					t.Errorf("cache duration %v, want %s", got.CacheDuration, tc.duration)
				}
				if string(got.CacheKeyType) != string(tc.response.CacheKey) || !reflect.DeepEqual(got.Auth, tc.auth) {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const apiVersion = `"apiVersion":"credentialprovider.kubelet.k8s.io/v1"`
	for name, tc := range map[string]struct{ stdin, want string }{
		"nothing":             {"", "nothing to read"},
		"white space":         {" \n", "nothing to read"},
		"no JSON":             {"image: x", "not a single JSON object"},
		"two objects":         {`{}{}`, "not a single JSON object"},
		"an array":            {`[]`, "not a single JSON object"},
		"truncated":           {`{"kind":"Cred`, "not a single JSON object"},
		"another kind":        {`{"kind":"Pod",` + apiVersion + `}`, `kind "Pod"; want "CredentialProviderRequest"`},
		"another case":        {`{"Kind":"CredentialProviderRequest",` + apiVersion + `}`, `kind ""`},
		"no apiVersion":       {`{"kind":"CredentialProviderRequest","image":"a/b"}`, `apiVersion ""; want one of credentialprovider.kubelet.k8s.io/v1, `},
		"a future apiVersion": {`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v2","image":"a/b"}`, `io/v2"; want one of`},
		"no image":            {`{"kind":"CredentialProviderRequest",` + apiVersion + `}`, "no image"},
		"image of wrong type": {`{"kind":"CredentialProviderRequest",` + apiVersion + `,"image":7}`, "not a single JSON object"},
		"more than 4 MiB":     {`{"kind":"` + strings.Repeat("x", 4<<20) + `"}`, "larger than 4 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := protocol.Read(strings.NewReader(tc.stdin))
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 400 {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// The versions before v1 know no service accounts. Answered as the node's, such
// a request would give a pod the node's rights.
func TestAnOldVersionWithAServiceAccountIsRefused(t *testing.T) {
	for _, version := range []string{"v1beta1", "v1alpha1"} {
		for _, account := range []string{`"serviceAccountToken":"` + token + `"`, `"serviceAccountAnnotations":{"a/b":"c"}`} {
			const want = "request on stdin: a service account in apiVersion credentialprovider.kubelet.k8s.io/VERSION; only credentialprovider.kubelet.k8s.io/v1 has them"
			got, err := protocol.Read(strings.NewReader(
				`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/` + version + `","image":"a.b/c",` + account + `}`))
			if err == nil || err.Error() != strings.Replace(want, "VERSION", version, 1) || got.Image != "" {
				t.Errorf("%s with %s: got %+v, %v", version, account, got, err)
			}
		}
	}
}

// The API server lets a service account have 256 KiB of annotations. What the
// kubelet makes of the worst ones has to fit.
func TestReadsTheLargestAnnotations(t *testing.T) {
	encode, _ := kubeletCodecs()
	for _, worst := range []string{"<", "\x01", "\u2028", "\xff", `"`} {
		sent := &credentialprovider.CredentialProviderRequest{
			Image:                     "registry.example.com/" + strings.Repeat("a", 200),
			ServiceAccountToken:       strings.Repeat("t", 64<<10),
			ServiceAccountAnnotations: map[string]string{"a/b": strings.Repeat(worst, validation.TotalAnnotationSizeLimitB/len(worst))},
		}
		stdin := encode(sent, v1.SchemeGroupVersion)
		got, err := protocol.Read(bytes.NewReader(stdin))
		want := sent.ServiceAccountAnnotations["a/b"]
		if worst == "\xff" {
			want = strings.Repeat("\ufffd", validation.TotalAnnotationSizeLimitB) // The encoder replaces each byte.
		}
		if err != nil || got.ServiceAccountAnnotations["a/b"] != want {
			t.Errorf("%q in %d bytes: got %v", worst, len(stdin), err)
		}
	}
}

func TestNoErrorRepeatsTheToken(t *testing.T) {
	for _, rest := range []string{
		`"kind":"Pod"}`,
		`"kind":"CredentialProviderRequest","apiVersion":"v9"}`,
		`"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}`,
		`"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1","image":"a.b/c"}`,
		`"kind":"CredentialProviderRequest","image":[]}`,
		`"kind":`,
	} {
		_, err := protocol.Read(strings.NewReader(`{"serviceAccountToken":"` + token + `",` + rest))
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: got %v", rest, err)
		}
	}
}

func TestReadPassesOverUnknownFields(t *testing.T) {
	stdin := `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a.b/c","podUID":"x","new":{"a":[1]}}`
	if got, err := protocol.Read(strings.NewReader(stdin)); err != nil || got.Image != "a.b/c" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBrokenPipes(t *testing.T) {
	broken := errors.New("broken pipe")
	if _, err := protocol.Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("Read: %v", err)
	}
	if err := protocol.Write(failingWriter{broken}, "v", protocol.Response{}); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
}

type failingWriter struct{ error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.error }

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a.b/c","serviceAccountToken":"` + token + `"}`))
	f.Add([]byte(`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1","image":1}`))
	_, decoder := kubeletCodecs()
	f.Fuzz(func(t *testing.T, stdin []byte) {
		request, err := protocol.Read(bytes.NewReader(stdin))
		if err != nil {
			return
		}
		// Whatever was accepted is echoed as the kubelet can read it.
		var stdout bytes.Buffer
		err = protocol.Write(&stdout, request.APIVersion, protocol.Response{
			CacheKey: protocol.CacheRegistry, Registry: request.Image, Username: "u", Password: "p",
		})
		if err != nil || !json.Valid(stdout.Bytes()) {
			t.Fatalf("Write: %v", err)
		}
		if _, _, err := decoder.Decode(stdout.Bytes(), nil, nil); err != nil {
			t.Errorf("the kubelet refuses %q: %v", stdout.Bytes(), err)
		}
	})
}
