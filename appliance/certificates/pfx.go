package certificates

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"hash"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

const (
	maxRounds = 5_000_000 // of key derivation in one file; usual are 2,000 to 600,000
	maxNested = 24        // levels of a file
)

// readPFX adds what a file holds: PKCS #12, RFC 7292; or a certificate alone, in DER.
func (m *material) readPFX(encoded, password string) error {
	if len(encoded) > 2*maxText {
		return refuse(fieldPFX, "This file is larger than 512 KB; a certificate with its chain has a few.", "")
	}
	file, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return refuse(fieldPFX, "This is not base64.", "Send the bytes of the file in base64, such as base64 -w0 FILE writes them.")
	}
	if bytes.HasPrefix(bytes.TrimSpace(file), []byte("-----BEGIN")) {
		return m.readPEM(fieldPFX, string(file), password)
	}
	if c, err := x509.ParseCertificate(file); err == nil {
		m.certificates = append(m.certificates, c)
		return nil
	}
	if rounds(file, 0) > maxRounds {
		return refuse(fieldPFX, "This file asks for more rounds of key derivation than any program writes.", "Export it again.")
	}
	key, certificate, more, err := pkcs12.DecodeChain(file, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return refuse(fieldPassword, "This file has a password.", "")
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return refuse(fieldPassword, "The password does not open this file.", "")
	case err != nil && !isPFX(file):
		return refuse(fieldPFX, "This is not a PFX (PKCS #12) file.", "A PFX is what Windows exports with “Yes, export the private key”; a certificate in text is PEM.")
	case err != nil:
		return refuse(fieldPFX, "This PFX file does not hold one certificate with its private key, or it is damaged.", "Export it again, with its private key and a password.")
	case len(more) >= maxCertificates:
		return refuse(fieldPFX, "This file holds more certificates than a chain has.", "")
	}
	signer, err := usable(fieldPFX, key)
	if err != nil {
		return err
	}
	m.certificates, m.keys = append(append(m.certificates, certificate), more...), append(m.keys, signer)
	return nil
}

// isPFX tells whether the outermost structure is that of a PFX, RFC 7292, 4: version 3, and what it protects.
func isPFX(file []byte) bool {
	var outer struct {
		Version  int
		AuthSafe asn1.RawValue
		MAC      asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(file, &outer)
	return err == nil && outer.Version == 3
}

// rounds adds up the rounds of key derivation that a file asks for: every whole number that stands beside a salt, wherever it is nested. A number that fits nowhere
// counts as too many.
func rounds(der []byte, depth int) int {
	total, salted := 0, false
	for len(der) > 0 && depth < maxNested && total <= maxRounds {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			break
		}
		der = rest
		switch {
		case v.IsCompound:
			total += rounds(v.Bytes, depth+1)
			continue
		case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString:
			salted = true
			total += rounds(v.Bytes, depth+1)
			continue
		case salted && v.Class == asn1.ClassUniversal && v.Tag == asn1.TagInteger:
			var n int
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil || n > maxRounds || n < 0 {
				return maxRounds + 1
			}
			total += n
		}
		salted = false
	}
	return total
}

// The structures of an encrypted key, RFC 5958 and RFC 8018.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2 struct {
		Derivation, Cipher pkix.AlgorithmIdentifier
	}
	derivation struct {
		Salt   []byte
		Rounds int
		Length int                      `asn1:"optional"`
		Hash   pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var errWrapping = errors.New("not PBES2 with PBKDF2 and AES")

// decryptKey opens an encrypted key as OpenSSL writes it: PBES2 with PBKDF2 and AES in CBC mode.
func decryptKey(field string, der []byte, password string) ([]byte, error) {
	if password == "" {
		return nil, refuse(fieldPassword, "The private key is encrypted; its password is needed.", "")
	}
	if rounds(der, 0) > maxRounds {
		return nil, refuse(field, "This key asks for more rounds of key derivation than any program writes.", "")
	}
	block, iv, data, err := cipherOf(der, password)
	if err != nil || len(iv) != block.BlockSize() || len(data) == 0 || len(data)%block.BlockSize() != 0 {
		return nil, refuse(field, "The private key is encrypted in a way that is not known here.", "Convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE.")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > block.BlockSize() || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, refuse(fieldPassword, "The password does not open the private key.", "")
	}
	plain = plain[:len(plain)-pad]
	if _, err := parseKey(plain); err != nil { // one wrong password in 256 leaves what looks like padding
		return nil, refuse(fieldPassword, "The password does not open the private key.", "")
	}
	return plain, nil
}

func cipherOf(der []byte, password string) (cipher.Block, []byte, []byte, error) {
	var outer encryptedKey
	var scheme pbes2
	var kdf derivation
	var iv []byte
	for _, part := range []struct {
		der  func() []byte
		into any
	}{
		{func() []byte { return der }, &outer},
		{func() []byte { return outer.Algorithm.Parameters.FullBytes }, &scheme},
		{func() []byte { return scheme.Derivation.Parameters.FullBytes }, &kdf},
		{func() []byte { return scheme.Cipher.Parameters.FullBytes }, &iv},
	} {
		if rest, err := asn1.Unmarshal(part.der(), part.into); err != nil || len(rest) > 0 {
			return nil, nil, nil, errWrapping
		}
	}
	bits := map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}[scheme.Cipher.Algorithm.String()]
	hashOf := map[string]func() hash.Hash{
		"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.11": sha512.New,
	}[kdf.Hash.Algorithm.String()]
	if bits == 0 || hashOf == nil || kdf.Rounds < 1 || outer.Algorithm.Algorithm.String() != "1.2.840.113549.1.5.13" || scheme.Derivation.Algorithm.String() != "1.2.840.113549.1.5.12" {
		return nil, nil, nil, errWrapping
	}
	key, err := pbkdf2.Key(hashOf, password, kdf.Salt, kdf.Rounds, bits)
	if err != nil {
		return nil, nil, nil, err
	}
	block, err := aes.NewCipher(key)
	return block, iv, outer.Data, err
}
