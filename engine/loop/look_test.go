package loop

import (
	"testing"
	"unsafe"
)

// TestAConnectionIsSmall bounds what each idle connection costs beside its core.
func TestAConnectionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 176 {
		t.Errorf("a connection takes %d bytes", size)
	}
}
