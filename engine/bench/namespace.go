package bench

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Prepare brings up loopback in this process's network namespace and sets what the measurements need there.
func Prepare() error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	for name, value := range map[string]string{
		"tcp_congestion_control": "reno", "ip_local_port_range": "1024 65000", "tcp_tw_reuse": "1", "tcp_max_syn_backlog": "65535",
		"ip_local_reserved_ports": fmt.Sprintf("7000-9100,%d-%d", manyBase, manyBase+manyServices),
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	_ = os.WriteFile("/proc/sys/net/core/somaxconn", []byte("65535"), 0)
	return raiseLimit()
}

// raiseLimit lets this process and its children open as many files as they may.
func raiseLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var request struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = unix.IFF_UP | unix.IFF_RUNNING
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// sessions is how many sessions fit into a process, with two descriptors each and the half of one that HAProxy sets aside for pipes.
func sessions() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 300
	}
	return int(min(limit.Cur, 100000))*2/5 - 100
}
