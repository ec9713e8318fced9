package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"evenkeel/appliance"
)

const lockName = "lock"

// lockFolder takes the folder for this process until the file is closed or the process ends, however it ends. The error is of kind conflict when another one has it.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fileFault("open the lock of the data folder", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, taken(dir, f)
		}
		return nil, fileFault("lock the data folder", err)
	}
	sign(f)
	return f, nil
}

// sign writes our number, for the sentence of the one who comes second. A full disk must not keep the appliance from starting because of it.
func sign(f *os.File) {
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
}

func taken(dir string, f *os.File) *appliance.Error {
	e := &appliance.Error{
		Kind: appliance.Conflict, Op: "lock the data folder", Subject: dir,
		Message: fmt.Sprintf("The data folder %s is in use by another evenkeel.", dir),
		Hint:    "Stop that process, or name another folder with --data.",
	}
	var b [20]byte
	n, _ := f.ReadAt(b[:], 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n]))); err == nil {
		e.Message = fmt.Sprintf("The data folder %s is in use by another evenkeel (process %d).", dir, pid)
	}
	return e
}
