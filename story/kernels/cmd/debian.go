package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// kernel is a package of Debian, unpacked.
type kernel struct {
	root    string // where
	release string // as uname -r says it
	version string // of the package
}

func (k kernel) String() string { return k.release + " (Debian " + k.version + ")" }

func (k kernel) image() string { return filepath.Join(k.root, "boot", "vmlinuz-"+k.release) }

func (k kernel) modules() string { return filepath.Join(k.root, "usr/lib/modules", k.release) }

// current finds in what the package linux-image-amd64 depends on the kernel that a release of Debian has now.
var current = regexp.MustCompile(`(?m)^Depends: linux-image-(\S+) \(= (\S+)\)$`)

// kernelOf fetches the kernel of a release, unless it is in the cache. apt checks its signature, with lists and settings of its own: those of this machine stay as they are.
func kernelOf(ctx context.Context, release string) (k kernel, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return k, err
	}
	cache = filepath.Join(cache, "evenkeel-kernels")
	apt, err := aptOf(cache, release)
	if err != nil {
		return k, err
	}
	if err := apt(ctx, "apt-get", "-qq", "update").Run(); err != nil {
		return k, fmt.Errorf("read Debian's lists: %w", err)
	}
	text, err := apt(ctx, "apt-cache", "show", "linux-image-amd64").Output()
	found := current.FindSubmatch(text)
	if err != nil || found == nil {
		return k, fmt.Errorf("no kernel in %s: %w", release, err)
	}
	k = kernel{release: string(found[1]), version: string(found[2])}
	k.root = filepath.Join(cache, k.release+"_"+k.version)
	if _, err := os.Stat(k.root); err == nil {
		return k, nil
	}
	return k, k.unpack(ctx, apt)
}

// aptOf returns how programs of apt are run for one release alone.
func aptOf(cache, release string) (func(ctx context.Context, name string, args ...string) *exec.Cmd, error) {
	dir := filepath.Join(cache, release)
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	source := "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian " + release + " main\n"
	settings := fmt.Sprintf("Dir::Etc::SourceList %q;\nDir::Etc::SourceParts \"/dev/null\";\nDir::State::Lists %q;\nDir::Cache %q;\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n",
		filepath.Join(dir, "sources.list"), filepath.Join(dir, "lists"), dir)
	for name, text := range map[string]string{"sources.list": source, "apt.conf": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, name, args...)
		c.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(dir, "apt.conf"))
		c.Dir, c.Stderr = dir, os.Stderr
		return c
	}, nil
}

// unpack fetches the package; its folder gets its name when it is whole.
func (k kernel) unpack(ctx context.Context, apt func(ctx context.Context, name string, args ...string) *exec.Cmd) error {
	part := kernel{root: k.root + ".part", release: k.release}
	if err := os.RemoveAll(part.root); err != nil {
		return err
	}
	if err := os.MkdirAll(part.root, 0o755); err != nil {
		return err
	}
	fetch := apt(ctx, "apt-get", "-qq", "download", "linux-image-"+k.release+"="+k.version)
	fetch.Dir = part.root
	if err := fetch.Run(); err != nil {
		return fmt.Errorf("fetch the kernel: %w", err)
	}
	list, err := filepath.Glob(filepath.Join(part.root, "*.deb"))
	if err != nil || len(list) != 1 {
		return fmt.Errorf("fetch the kernel: %d packages came: %w", len(list), err)
	}
	if err := tell(ctx, "dpkg-deb", "-x", list[0], part.root); err != nil {
		return err
	}
	_ = os.Remove(list[0])
	if err := part.merge(); err != nil {
		return err
	}
	if err := tell(ctx, "depmod", "-b", part.root, k.release); err != nil {
		return err
	}
	return os.Rename(part.root, k.root)
}

// merge lets modules be found in /usr/lib and in /lib, wherever the package has them.
func (k kernel) merge() error {
	old := filepath.Join(k.root, "lib")
	if _, err := os.Stat(old); err == nil {
		if err := os.MkdirAll(filepath.Join(k.root, "usr"), 0o755); err != nil {
			return err
		}
		if err := os.Rename(old, filepath.Join(k.root, "usr/lib")); err != nil {
			return err
		}
	}
	return os.Symlink("usr/lib", old)
}
