package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"evenkeel/appliance"
)

const primaryCode = 0xff // the low byte of an extended result code

// fault turns what the driver or the kernel said into an Error, by code. An Error stays what it is.
func fault(op string, err error) error {
	var ours *appliance.Error
	var driver *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case errors.As(err, &driver):
		e := driverFault(driver.Code())
		e.Op, e.Err = op, err
		return e
	case errors.Is(err, sql.ErrNoRows):
		return &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "There is no such entry.", Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &appliance.Error{Kind: appliance.Unavailable, Op: op, Message: "This was given up before it was done; nothing was changed.", Hint: "Try again.", Err: err}
	}
	return fileFault(op, err)
}

func driverFault(code int) *appliance.Error {
	switch code & primaryCode {
	case codes.SQLITE_FULL:
		return fullDisk()
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return &appliance.Error{Kind: appliance.Unavailable, Message: "The database is busy; nothing was changed.", Hint: "Try again in a moment."}
	case codes.SQLITE_INTERRUPT:
		return &appliance.Error{Kind: appliance.Unavailable, Message: "This was given up before it was done; nothing was changed.", Hint: "Try again."}
	case codes.SQLITE_READONLY, codes.SQLITE_PERM, codes.SQLITE_AUTH, codes.SQLITE_CANTOPEN:
		return noRight()
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return &appliance.Error{
			Kind: appliance.Unavailable, Message: "The database is damaged.",
			Hint: "Restart Evenkeel: it moves the damaged file aside and goes back to the last good snapshot.",
		}
	case codes.SQLITE_IOERR:
		return &appliance.Error{
			Kind: appliance.Unavailable, Message: "The disk of the data folder gave an error; nothing was changed.",
			Hint: "Look at the disk and at the free space on it. Traffic goes on as before.",
		}
	case codes.SQLITE_TOOBIG:
		return &appliance.Error{Kind: appliance.Invalid, Message: "This is too large for the database."}
	case codes.SQLITE_CONSTRAINT:
		return constraintFault(code)
	}
	return &appliance.Error{Kind: appliance.Internal}
}

func constraintFault(code int) *appliance.Error {
	switch code {
	case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY:
		return &appliance.Error{Kind: appliance.Conflict, Message: "There is already one of that name."}
	case codes.SQLITE_CONSTRAINT_FOREIGNKEY:
		return &appliance.Error{Kind: appliance.NotFound, Message: "What this belongs to does not exist."}
	case codes.SQLITE_CONSTRAINT_CHECK, codes.SQLITE_CONSTRAINT_NOTNULL, codes.SQLITE_CONSTRAINT_DATATYPE:
		return &appliance.Error{Kind: appliance.Invalid, Message: "A value is not one that the database keeps."}
	}
	return &appliance.Error{Kind: appliance.Internal}
}

func fullDisk() *appliance.Error {
	return &appliance.Error{
		Kind: appliance.Unavailable, Message: "The disk of the data folder is full; nothing was changed.",
		Hint: "Free some space there and try again. Traffic goes on as before.",
	}
}

func noRight() *appliance.Error {
	return &appliance.Error{
		Kind: appliance.Denied, Message: "The data folder or a file in it cannot be written.",
		Hint: "Give the user that runs Evenkeel the folder, or name another one with --data.",
	}
}

// fileFault is fault for what the kernel says about files and folders.
func fileFault(op string, err error) error {
	e := &appliance.Error{Kind: appliance.Unavailable}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e = fullDisk()
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e = noRight()
	case errors.Is(err, fs.ErrNotExist):
		e.Kind = appliance.NotFound
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		e.Kind = appliance.Invalid
	case errors.As(err, new(*fs.PathError)), errors.As(err, new(syscall.Errno)):
	default:
		e.Kind = appliance.Internal
	}
	e.Op, e.Err = op, err
	return e
}
