package packages

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"regcred/deploy/release/tree"
)

// Archive is files below one directory.
type Archive struct {
	Name  string // of the archive, without what its format adds
	Top   string // the directory
	Time  time.Time
	Files []tree.File // with paths below that directory
}

// WriteTar makes a tar.gz file with a suffix in a directory, and returns its name.
func (a Archive) WriteTar(directory, suffix string) (string, error) {
	name := a.Name + suffix
	return name, create(filepath.Join(directory, name), func(w io.Writer) error {
		compressed, err := gzip.NewWriterLevel(w, gzip.DefaultCompression)
		if err != nil {
			return err
		}
		archive := tar.NewWriter(compressed)
		for _, file := range a.Files {
			if err := WriteTarEntry(archive, file, a.Top+"/"+file.Path, a.Time); err != nil {
				return err
			}
		}
		if err := archive.Close(); err != nil {
			return err
		}
		return compressed.Close()
	})
}

// WriteTarEntry adds a file, root's and of that time, to an archive.
func WriteTarEntry(archive *tar.Writer, file tree.File, name string, at time.Time) error {
	header := &tar.Header{
		Format:   tar.FormatPAX, // for names of any length
		Name:     strings.TrimPrefix(name, "/"),
		Mode:     int64(file.Mode.Perm()),
		ModTime:  at.UTC().Truncate(time.Second),
		Typeflag: tar.TypeReg,
	}
	switch {
	case file.Target != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, file.Target, 0o777
	case file.Mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	}
	if header.Typeflag != tar.TypeReg {
		return archive.WriteHeader(header)
	}
	return withContent(file, func(content io.Reader, size int64) error {
		header.Size = size
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.Copy(archive, content)
		return err
	})
}

// WriteLayout makes one file, uncompressed, of the directory of an OCI layout, and
// returns its name.
func WriteLayout(layout, directory, name string, at time.Time) (string, error) {
	return name, create(filepath.Join(directory, name), func(w io.Writer) error {
		archive := tar.NewWriter(w)
		err := filepath.WalkDir(layout, func(source string, entry fs.DirEntry, err error) error {
			if err != nil || source == layout {
				return err
			}
			place, err := filepath.Rel(layout, source)
			if err != nil {
				return err
			}
			file := tree.File{Mode: 0o644, Source: source}
			if entry.IsDir() {
				file.Mode = fs.ModeDir | 0o755
			}
			return WriteTarEntry(archive, file, filepath.ToSlash(place), at)
		})
		if err != nil {
			return err
		}
		return archive.Close()
	})
}

// WriteZip makes NAME.zip in a directory, and returns its name. It has no
// symbolic links.
func (a Archive) WriteZip(directory string) (string, error) {
	name := a.Name + ".zip"
	return name, create(filepath.Join(directory, name), func(w io.Writer) error {
		archive := zip.NewWriter(w)
		for _, file := range a.Files {
			if file.Target != "" || file.Mode.IsDir() {
				return fmt.Errorf("%s: not a file", file.Path)
			}
			header := &zip.FileHeader{Name: a.Top + "/" + file.Path, Method: zip.Deflate, Modified: a.Time.UTC()}
			header.SetMode(file.Mode.Perm())
			entry, err := archive.CreateHeader(header)
			if err != nil {
				return err
			}
			err = withContent(file, func(content io.Reader, _ int64) error {
				_, err := io.Copy(entry, content)
				return err
			})
			if err != nil {
				return err
			}
		}
		return archive.Close()
	})
}

func withContent(file tree.File, use func(content io.Reader, size int64) error) error {
	source, err := os.Open(file.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	return use(source, info.Size())
}
