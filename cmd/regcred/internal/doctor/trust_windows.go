package doctor

import "io/fs"

// ownerOf knows nothing: access is by lists, which installers set.
func ownerOf(fs.FileInfo) (user, group int, known bool) { return 0, 0, false }

func executable(fs.FileInfo) bool { return true }
