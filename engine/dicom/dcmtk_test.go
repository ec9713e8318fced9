package dicom

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/engine/wire/wiretest"
)

// storescp runs DCMTK's storage server on a reserved port and returns its address.
func storescp(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("storescp")
	if err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("storescp is missing; install the package dcmtk")
		}
		t.Skip("needs storescp of the package dcmtk")
	}
	port := strconv.Itoa(int(wiretest.Port(t, 1)))
	ctx, cancel := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, path, append(args, port)...)
	server.Dir = t.TempDir()
	said := &bytes.Buffer{}
	server.Stdout, server.Stderr = said, said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("storescp said: %s", said)
		}
	})
	return net.JoinHostPort("127.0.0.1", port)
}

// reach connects as soon as the server listens.
func reach(t *testing.T, address string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestEchoAgainstDCMTK(t *testing.T) {
	result, err := Echo(reach(t, storescp(t)), EchoOptions{Called: "STORESCP"})
	if err != nil || result.Status != Success || !result.Released || !strings.HasPrefix(result.Peer.ImplementationVersion, "OFFIS_DCMTK") {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestEchoAgainstDCMTKThatRejects(t *testing.T) {
	_, err := Echo(reach(t, storescp(t, "--refuse")), EchoOptions{})
	var rejected *Rejected
	if !errors.As(err, &rejected) || err.Error() != "association rejected: no reason given" {
		t.Errorf("got %v", err)
	}
}

func TestStoreAgainstDCMTK(t *testing.T) {
	conn := reach(t, storescp(t, "--bit-preserving", "--max-pdu", "4096"))
	a, err := Associate(conn, AssociateOptions{Contexts: []ContextOffer{{ID: 1, AbstractSyntax: SecondaryCapture, TransferSyntaxes: []string{ImplicitLittleEndian}}}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := AppendDataSet(nil, ImplicitLittleEndian, NewDataSet(
		Text(SOPClassUID, SecondaryCapture), Text(SOPInstanceUID, "2.25.5"), Element{Tag: PixelData, VR: OtherByte, Value: make([]byte, 100_000)}))
	if err != nil {
		t.Fatal(err)
	}
	status, err := a.Store(FileHeader{Class: SecondaryCapture, Instance: "2.25.5", TransferSyntax: ImplicitLittleEndian}, bytes.NewReader(set))
	if err != nil || status != Success {
		t.Errorf("got %v, %v", status, err)
	}
	if err := a.Release(); err != nil {
		t.Error(err)
	}
}
