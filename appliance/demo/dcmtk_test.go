package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// dcmtk runs one of DCMTK's programs and returns what it said.
func dcmtk(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s", program, err, said)
	}
	return string(said)
}

// needDCMTK skips without DCMTK, or fails where everything must be there.
func needDCMTK(t *testing.T) {
	t.Helper()
	for _, program := range []string{"echoscu", "storescu", "findscu", "dcmdump"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatalf("%s is missing; install the package dcmtk", program)
		}
		t.Skipf("needs %s of the package dcmtk", program)
	}
}

func port(s *Sample) string { return strconv.Itoa(int(s.Addr().Port())) }

func TestDCMTKVerifies(t *testing.T) {
	needDCMTK(t)
	for _, kind := range []Kind{DICOM, Worklist} {
		s := running(t, Options{Kind: kind})
		// 128 contexts, each with 38 transfer syntaxes, two C-ECHOs, then an abort instead of a release
		dcmtk(t, "echoscu", "-aet", "ANYONE", "-aec", "NOBODY", "--propose-ts", "38", "--propose-pc", "128", "--repeat", "2", "127.0.0.1", port(s))
		dcmtk(t, "echoscu", "--abort", "127.0.0.1", port(s))
	}
}

func TestDCMTKStoresEverySizeByteForByte(t *testing.T) {
	needDCMTK(t)
	keep, folder := t.TempDir(), t.TempDir()
	s := running(t, Options{Kind: DICOM, Keep: keep})
	var objects []Instance
	var paths []string
	for i, size := range []int{1 << 10, 1001, 5000, 16 << 10, 100_000, 1 << 20, 20 << 20} {
		o := Object(uint64(i), size)
		path := filepath.Join(folder, fmt.Sprintf("%d.dcm", i))
		if err := os.WriteFile(path, o.File, 0o600); err != nil {
			t.Fatal(err)
		}
		objects, paths = append(objects, o), append(paths, path)
	}
	for _, extra := range [][]string{{}, {"--max-pdu", "4096", "--max-send-pdu", "4096"}, {"--propose-little"}} {
		args := append(append(extra, "127.0.0.1", port(s)), paths...)
		dcmtk(t, "storescu", args...)
		for _, o := range objects {
			path := filepath.Join(keep, o.UID+".dcm")
			file, err := os.ReadFile(path)
			if err != nil || !bytes.HasSuffix(file, o.DataSet) {
				t.Errorf("%v: object of %d bytes is kept as %d bytes, %v", extra, len(o.File), len(file), err)
			}
			_ = os.Remove(path)
		}
	}
}

func TestDCMTKReadsWhatIsKept(t *testing.T) {
	needDCMTK(t)
	keep, path := t.TempDir(), filepath.Join(t.TempDir(), "o.dcm")
	s := running(t, Options{Kind: DICOM, Keep: keep})
	o := Object(77, 5000)
	if err := os.WriteFile(path, o.File, 0o600); err != nil {
		t.Fatal(err)
	}
	dcmtk(t, "storescu", "127.0.0.1", port(s), path)
	said := dcmtk(t, "dcmdump", filepath.Join(keep, o.UID+".dcm"))
	for _, want := range []string{"LittleEndianExplicit", o.UID, "SecondaryCaptureImageStorage", "EVENKEEL"} {
		if !strings.Contains(said, want) {
			t.Errorf("dcmdump does not say %q:\n%.2000s", want, said)
		}
	}
}

func TestDCMTKQueriesTheWorklist(t *testing.T) {
	needDCMTK(t)
	s := running(t, Options{Kind: Worklist, Now: someday})
	tests := []struct {
		name   string
		args   []string
		want   []string
		absent []string
	}{
		{"all", []string{"-k", "PatientName", "-k", "AccessionNumber"}, []string{"Doe^Jane", "Smith^Robert^James", "Müller^Jürgen", "Doe^John", "ACC1004"}, []string{"PAT001"}},
		{"wildcard", []string{"-k", "PatientName=DOE*", "-k", "PatientID"}, []string{"Doe^Jane", "PAT001", "Doe^John", "PAT004"}, []string{"Smith", "ACC1001"}},
		{"modality", []string{"-k", "PatientName", "-k", "(0040,0100)[0].Modality=MR", "-k", "(0040,0100)[0].ScheduledProcedureStepStartDate"}, []string{"Smith^Robert^James", "20260227"}, []string{"Doe"}},
		{"dates", []string{"-k", "PatientName", "-k", "(0040,0100)[0].ScheduledProcedureStepStartDate=20260228-"}, []string{"Müller", "Doe^John", "20260301"}, []string{"Doe^Jane"}},
		{"first answer, then cancel", []string{"--cancel", "1", "-k", "PatientName"}, []string{"Doe^Jane"}, nil},
	}
	for _, syntax := range []string{"--propose-little", "--propose-big", "--propose-implicit", "--propose-deflated"} {
		for _, test := range tests {
			t.Run(syntax+" "+test.name, func(t *testing.T) {
				said := dcmtk(t, "findscu", append(append([]string{"-W", syntax}, test.args...), "127.0.0.1", port(s))...)
				for _, want := range test.want {
					if !strings.Contains(said, want) {
						t.Errorf("%q is missing in:\n%s", want, said)
					}
				}
				for _, absent := range test.absent {
					if strings.Contains(said, absent) {
						t.Errorf("%q must not be in:\n%s", absent, said)
					}
				}
			})
		}
	}
}
