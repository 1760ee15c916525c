package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// private grants the system, the administrators and the owner everything, and
// nobody else anything. It is protected: what the parent grants to all users
// is not inherited.
const private = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"

// makeDir makes the folder for its owner, the system and the administrators.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	descriptor, err := windows.SecurityDescriptorFromString(private)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return err
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	return os.NewSyscallError("CreateDirectory", windows.CreateDirectory(name, attributes))
}

// trustDir accepts a folder that the system, the administrators or this user
// own: whoever owns a folder decides who may look into it.
func trustDir(dir string, _ fs.FileInfo) error {
	descriptor, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return os.NewSyscallError("GetNamedSecurityInfo", err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return err
	}
	if owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
		return nil
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	if !owner.Equals(user.User.Sid) {
		return errors.New("belongs to another user")
	}
	return nil
}

// trustFile accepts every file: the folder keeps others out.
func trustFile(fs.FileInfo) error { return nil }
