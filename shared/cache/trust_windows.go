package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// openFlags are none: opening waits for nobody.
const openFlags = 0

// private grants the system, the administrators and the owner everything, and
// nobody else anything. It is protected: what the parent grants to all users
// is not inherited.
const private = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"

// makeDir makes the directory for its owner, the system and the administrators.
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

// trustDir accepts a directory that belongs to the system, the administrators or
// this user, and that nobody else may look into. The directory is asked, not its
// name.
func trustDir(root *os.Root, _ fs.FileInfo) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	descriptor, err := windows.GetSecurityInfo(windows.Handle(dir.Fd()), windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return os.NewSyscallError("GetSecurityInfo", err)
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return os.NewSyscallError("GetTokenUser", err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return err
	}
	if !trusted(owner, user.User.Sid) {
		return errors.New("owned by another user")
	}
	acl, _, err := descriptor.DACL()
	if err != nil || acl == nil {
		return errors.New("open to everybody")
	}
	for i := range uint32(acl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(acl, i, &ace); err != nil {
			return os.NewSyscallError("GetAce", err)
		}
		// There are more kinds that allow something, such as those with a condition.
		// They are laid out differently, and nobody needs one here.
		switch kind := ace.Header.AceType; {
		case kind == windows.ACCESS_DENIED_ACE_TYPE:
		case kind != windows.ACCESS_ALLOWED_ACE_TYPE || !trusted((*windows.SID)(unsafe.Pointer(&ace.SidStart)), user.User.Sid):
			return errors.New("open to others than the system, the administrators and its owner")
		}
	}
	return nil
}

// trusted reports whether somebody may own the directory or look into it.
func trusted(sid, self *windows.SID) bool {
	return sid.IsWellKnown(windows.WinLocalSystemSid) || sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) ||
		sid.IsWellKnown(windows.WinCreatorOwnerRightsSid) || sid.Equals(self)
}

// trustFile accepts every file: the directory keeps others out.
func trustFile(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	return nil
}
