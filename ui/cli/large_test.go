package cli

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsTooLargeIsRefusedInWords: the appliance stops reading a large body early, and its reason must not be lost behind a broken pipe. What it takes arrives whole.
func TestWhatIsTooLargeIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	stop, err := start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	c := dial(filepath.Join(dir, SocketName))
	for size, want := range map[int]string{8 << 20: "The body is larger than 1024 KiB.", 600 << 10: "There is no field of this name."} {
		for range 10 { // whether the pipe breaks first is a race
			_, err := c.do(context.Background(), http.MethodPost, "/scripts", nil, map[string]string{"label": "large", "text": strings.Repeat("x", size)}, "")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d bytes: %v, not %q", size, err, want)
			}
		}
	}
}
