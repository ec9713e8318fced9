package dicom

// UIDs that this package and its users name, PS3.6 annex A.
const (
	ApplicationContext        = "1.2.840.10008.3.1.1.1"
	Verification              = "1.2.840.10008.1.1"
	ModalityWorklist          = "1.2.840.10008.5.1.4.31"
	SecondaryCapture          = "1.2.840.10008.5.1.4.1.1.7"
	ImplicitLittleEndian      = "1.2.840.10008.1.2"
	ExplicitLittleEndian      = "1.2.840.10008.1.2.1"
	ExplicitBigEndian         = "1.2.840.10008.1.2.2"
	ImplementationClass       = "2.25.152423805645611149064123928441955598150" // ours, from a random UUID
	ImplementationVersionName = "EVENKEEL"
)

// maxUID is the longest UID, PS3.5 section 9.1.
const maxUID = 64

// validUID reports whether s consists of digits and dots and is neither empty nor too long. It is as lenient towards
// components as products in the field are.
func validUID(s string) bool {
	if len(s) == 0 || len(s) > maxUID {
		return false
	}
	for i := range len(s) {
		if s[i] != '.' && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// trimUID removes the padding that PS3.5 allows behind a UID, and the blanks that some products write.
func trimUID(b []byte) string {
	for len(b) > 0 && (b[len(b)-1] == 0 || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return string(b)
}
