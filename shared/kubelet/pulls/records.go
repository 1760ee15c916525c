// Package pulls reads what the kubelet has recorded of the images that it
// pulled, and says by its own rule which pods may use one without pulling it
// again.
//
// The kubelet keeps a record for each image ID: under which names it was pulled,
// and who has proved that he may pull it under each. A pod that has proved
// nothing needs a real pull although the image is there, and is not told why.
// The rule is that of Kubernetes 1.37 (KEP-2535).
package pulls

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"

	"regcred/shared/file"
	"regcred/shared/redact"
)

const (
	pulledDir  = "pulled"
	pullingDir = "pulling"

	filePrefix = "sha256-"
	unfinished = ".tmp"

	group      = "kubelet.config.k8s.io/"
	pulledKind = "ImagePulledRecord"
	intentKind = "ImagePullIntent"

	// maxRecord bounds a file, and maxRecords how many of a directory are read. A
	// record of a hundred secrets has 20 KiB.
	maxRecord  = 4 << 20
	maxRecords = 20000
)

// strictVersions are those that a kubelet of 1.37 reads: it refuses a record with
// a field that it does not know.
var strictVersions = []string{group + "v1alpha1", group + "v1beta1"}

// Record is what is known of one image ID. Its names are as pods write them,
// without tag and digest, and not normalised.
type Record struct {
	APIVersion      string                 `json:"apiVersion"`
	Kind            string                 `json:"kind"`
	LastUpdatedTime time.Time              `json:"lastUpdatedTime"`
	ImageRef        string                 `json:"imageRef"`
	Names           map[string]Credentials `json:"credentialMapping,omitempty"`
}

// Credentials is who has proved that he may pull an image. All pods of the node
// may use one that was pulled with what the node itself has, or with nothing.
type Credentials struct {
	NodePodsAccessible bool             `json:"nodePodsAccessible,omitempty"`
	Secrets            []Secret         `json:"kubernetesSecrets,omitempty"`
	ServiceAccounts    []ServiceAccount `json:"kubernetesServiceAccounts,omitempty"`
}

// Secret is a pull secret. Its hash is of the login in it that was used.
type Secret struct {
	UID            string `json:"uid"`
	Namespace      string `json:"namespace"`
	Name           string `json:"name"`
	CredentialHash string `json:"credentialHash"`
}

func (s Secret) String() string { return "secret " + redact.Line(s.Namespace+"/"+s.Name) }

// ServiceAccount is one whose token a credential provider has turned into a
// login.
type ServiceAccount struct {
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func (s ServiceAccount) String() string {
	return "service account " + redact.Line(s.Namespace+"/"+s.Name)
}

// String names whoever has access, at most some of them.
func (c Credentials) String() string {
	const shown = 3
	if c.NodePodsAccessible {
		return "credentials of the node, or none"
	}
	var all []string
	for _, secret := range c.Secrets {
		all = append(all, secret.String())
	}
	for _, account := range c.ServiceAccounts {
		all = append(all, account.String())
	}
	if len(all) > shown {
		all = append(all[:shown], fmt.Sprintf("%d more", len(all)-shown))
	}
	if len(all) == 0 {
		return "credentials that are not known"
	}
	return strings.Join(all, ", ")
}

// Unknown is a file that is no record of a kind that is known here.
type Unknown struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// Listing is all that is recorded.
type Listing struct {
	Records []Record
	// Pulling are images, as pods write them, that are being pulled or were when
	// the kubelet ended.
	Pulling []string
	Unknown []Unknown
}

// Store is where a kubelet keeps its records.
type Store struct{ dir string }

// In returns the records of the kubelet whose --root-dir that is, as a path of
// this process.
func In(rootDir string) Store { return Store{filepath.Join(rootDir, "image_manager")} }

// Exists reports whether there are records. A kubelet that keeps none is older
// than 1.35, or its gate KubeletEnsureSecretPulledImages is off.
func (s Store) Exists() bool {
	_, err := os.Stat(filepath.Join(s.dir, pulledDir))
	return err == nil
}

// List reads all records, in the order of their names. A directory that is not
// there holds none.
func (s Store) List() (Listing, error) {
	var all Listing
	err := s.each(pulledDir, func(file string, text []byte) {
		record, err := decodePulled(text)
		switch {
		case err != nil:
			all.Unknown = append(all.Unknown, Unknown{file, err.Error()})
		default:
			all.Records = append(all.Records, record)
		}
	}, &all)
	if err != nil {
		return Listing{}, err
	}
	err = s.each(pullingDir, func(file string, text []byte) {
		image, err := decodeIntent(text)
		switch {
		case err != nil:
			all.Unknown = append(all.Unknown, Unknown{file, err.Error()})
		default:
			all.Pulling = append(all.Pulling, image)
		}
	}, &all)
	if err != nil {
		return Listing{}, err
	}
	slices.Sort(all.Pulling)
	return all, nil
}

// each calls found for the records of a directory that can be read.
func (s Store) each(dir string, found func(file string, text []byte), all *Listing) error {
	entries, err := readDir(filepath.Join(s.dir, dir))
	if err != nil {
		return fmt.Errorf("the kubelet's pull records: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasPrefix(entry.Name(), filePrefix) || strings.HasSuffix(entry.Name(), unfinished) {
			continue
		}
		file := filepath.Join(dir, entry.Name())
		text, err := s.read(file)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it is over
		case err != nil:
			all.Unknown = append(all.Unknown, Unknown{file, err.Error()})
		default:
			found(file, text)
		}
	}
	return nil
}

func readDir(path string) ([]os.DirEntry, error) {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	entries, err := dir.ReadDir(maxRecords)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// read reads a file of the records, which is whose it is.
func (s Store) read(name string) ([]byte, error) {
	return file.ReadAny(filepath.Join(s.dir, name), maxRecord)
}

// pulled returns the record of an image ID, or nil if there is none.
func (s Store) pulled(imageRef string) (*Record, error) {
	text, err := s.read(filepath.Join(pulledDir, FileOf(imageRef)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	record, err := decodePulled(text)
	if err != nil {
		return nil, err
	}
	if record.ImageRef != imageRef {
		return nil, nil
	}
	return &record, nil
}

// isPulling reports whether an image, as a pod writes it, was being pulled when
// the kubelet last said so.
func (s Store) isPulling(image string) (bool, error) {
	text, err := s.read(filepath.Join(pullingDir, FileOf(image)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	intended, err := decodeIntent(text)
	return intended == image, err
}

// FileOf is the name of the file in which the kubelet records an image ID, or the
// pull of an image as a pod writes it.
func FileOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filePrefix + hex.EncodeToString(sum[:])
}

func decodePulled(text []byte) (Record, error) {
	var record Record
	err := decode(text, pulledKind, &record)
	return record, err
}

func decodeIntent(text []byte) (string, error) {
	var intent struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Image      string `json:"image"`
	}
	err := decode(text, intentKind, &intent)
	return intent.Image, err
}

// decode reads a record of a kind. Versions that a kubelet of 1.37 reads have no
// fields but those that it knows; of later ones the fields that are known here
// are taken.
func decode(text []byte, kind string, into any) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return errors.New("not the JSON of a record")
	}
	if head.Kind != kind || !strings.HasPrefix(head.APIVersion, group) {
		return fmt.Errorf("kind %.80q of apiVersion %.80q, which is not known here", head.Kind, head.APIVersion)
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	if err == nil && len(strict) > 0 && slices.Contains(strictVersions, head.APIVersion) {
		err = strict[0]
	}
	if err != nil {
		return errors.New("record that does not decode: " + redact.Line(err.Error()))
	}
	return nil
}

// Of returns the records that have an image's name, as a pod writes it: where the
// runtime cannot be asked for its ID.
func (l Listing) Of(name string) []Record {
	bare, err := withoutTag(name)
	if err != nil {
		return nil
	}
	var found []Record
	for _, record := range l.Records {
		if _, ok := record.Names[bare]; ok {
			found = append(found, record)
		}
	}
	return found
}

// Access is who has access under an image's name, as a pod writes it.
func (r Record) Access(name string) Credentials {
	bare, _ := withoutTag(name)
	return r.Names[bare]
}
