package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"text/template"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// What tests ask about keys, certificates and hashes: a description that is the same for each good one.
var judges = template.FuncMap{
	"describeKey":  func(text string) (string, error) { _, d, err := describeKey(text); return d, err },
	"describePair": describePair,
	"bcryptMatches": func(hash, password string) bool {
		cost, err := bcrypt.Cost([]byte(hash))
		return err == nil && cost == 10 && strings.HasPrefix(hash, "$2a$10$") &&
			bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	},
}

type dsaKey struct {
	Version       int
	P, Q, G, Y, X *big.Int
}

// describeKey reads one private key that is a whole text, checks it, and says what it is.
func describeKey(text string) (crypto.PrivateKey, string, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) != 0 {
		return nil, "", fmt.Errorf("no whole PEM block: %q", text)
	}
	if again := pem.EncodeToMemory(block); string(again) != text {
		return nil, "", fmt.Errorf("encoded otherwise: %q", text)
	}
	said := block.Type
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, "", err
		}
		if err := key.Validate(); err != nil {
			return nil, "", err
		}
		if again := x509.MarshalPKCS1PrivateKey(key); !bytes.Equal(again, block.Bytes) {
			return nil, "", fmt.Errorf("marshalled otherwise")
		}
		for _, prime := range key.Primes {
			if prime.BitLen() != key.N.BitLen()/2 || !prime.ProbablyPrime(20) {
				return nil, "", fmt.Errorf("no prime of half the length: %v", prime)
			}
		}
		return key, fmt.Sprintf("%s rsa %d e=%d", said, key.N.BitLen(), key.E), nil
	case "EC PRIVATE KEY":
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, "", err
		}
		if again, err := x509.MarshalECPrivateKey(key); err != nil || !bytes.Equal(again, block.Bytes) {
			return nil, "", fmt.Errorf("marshalled otherwise: %v", err)
		}
		return key, fmt.Sprintf("%s ecdsa %s", said, key.Curve.(elliptic.Curve).Params().Name), nil
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, "", err
		}
		if again, err := x509.MarshalPKCS8PrivateKey(key); err != nil || !bytes.Equal(again, block.Bytes) {
			return nil, "", fmt.Errorf("marshalled otherwise: %v", err)
		}
		return key, fmt.Sprintf("%s %T", said, key), nil
	case "DSA PRIVATE KEY":
		var key dsaKey
		if rest, err := asn1.Unmarshal(block.Bytes, &key); err != nil || len(rest) != 0 {
			return nil, "", fmt.Errorf("no DSA key: %v", err)
		}
		one := big.NewInt(1)
		cofactor, remainder := new(big.Int).DivMod(new(big.Int).Sub(key.P, one), key.Q, new(big.Int))
		good := key.P.ProbablyPrime(20) && key.Q.ProbablyPrime(20) && remainder.Sign() == 0 &&
			cofactor.Sign() > 0 && key.G.Cmp(one) > 0 &&
			new(big.Int).Exp(key.G, key.Q, key.P).Cmp(one) == 0 &&
			new(big.Int).Exp(key.G, key.X, key.P).Cmp(key.Y) == 0 &&
			key.X.Sign() > 0 && key.X.Cmp(key.Q) < 0
		return nil, fmt.Sprintf("%s dsa %d %d good=%v", said, key.P.BitLen(), key.Q.BitLen(), good), nil
	}
	return nil, "", fmt.Errorf("no key: %s", block.Type)
}

// describePair reads a certificate and its key, has the certificate verified by an authority's (or by itself), and says
// all that is not random.
func describePair(cert, key, authority string) (string, error) {
	block, rest := pem.Decode([]byte(cert))
	if block == nil || len(rest) != 0 || block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("no certificate: %q", cert)
	}
	if string(pem.EncodeToMemory(block)) != cert {
		return "", fmt.Errorf("encoded otherwise: %q", cert)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	private, kind, err := describeKey(key)
	if err != nil {
		return "", err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return "", fmt.Errorf("%T does not sign", private)
	}
	if !signer.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(c.PublicKey) {
		return "", fmt.Errorf("the key is not the certificate's")
	}
	parent := c
	if authority != "" {
		block, _ := pem.Decode([]byte(authority))
		if parent, err = x509.ParseCertificate(block.Bytes); err != nil {
			return "", err
		}
	}
	if err := parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return "", fmt.Errorf("signature: %w", err)
	}
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	say("%s; version %d, %v, %v", kind, c.Version, c.SignatureAlgorithm, c.PublicKeyAlgorithm)
	if parent.IsCA && c.NotAfter.After(time.Now()) {
		roots := x509.NewCertPool()
		roots.AddCert(parent)
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		say("verified: %v", err)
		for _, name := range c.DNSNames {
			say("as %s: %v", name, c.VerifyHostname(name) == nil)
		}
		for _, ip := range c.IPAddresses {
			say("as %s: %v", ip, c.VerifyHostname(ip.String()) == nil)
		}
	}
	say("subject %x", c.RawSubject)
	say("issuer %x, that of the parent %v", c.RawIssuer, bytes.Equal(c.RawIssuer, parent.RawSubject))
	say("authority %v, length %d %v, usage %b, extended %v", c.IsCA, c.MaxPathLen, c.MaxPathLenZero, c.KeyUsage, c.ExtKeyUsage)
	say("names %q addresses %v", c.DNSNames, c.IPAddresses)
	// The clock is read twice there.
	say("from now %v, for %v", time.Since(c.NotBefore).Abs() < time.Hour, c.NotAfter.Sub(c.NotBefore).Round(2*time.Second))
	say("serial %v", c.SerialNumber.Sign() > 0 && c.SerialNumber.BitLen() <= 128 && c.SerialNumber.BitLen() > 80)
	say("own number %v, of the parent %v", ownNumber(c), len(c.AuthorityKeyId) > 0 && bytes.Equal(c.AuthorityKeyId, parent.SubjectKeyId))
	for _, e := range c.Extensions {
		random := e.Id.String() == "2.5.29.14" || e.Id.String() == "2.5.29.35"
		if random {
			say("extension %v %v of %d bytes", e.Id, e.Critical, len(e.Value))
		} else {
			say("extension %v %v %x", e.Id, e.Critical, e.Value)
		}
	}
	return out.String(), nil
}

func ownNumber(c *x509.Certificate) string {
	if len(c.SubjectKeyId) == 0 {
		return "none"
	}
	var bits []byte
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		bits = x509.MarshalPKCS1PublicKey(key)
	case *ecdsa.PublicKey:
		bits, _ = key.Bytes()
	case ed25519.PublicKey:
		bits = key
	}
	sum := sha256.Sum256(bits)
	return fmt.Sprint(bytes.Equal(sum[:20], c.SubjectKeyId))
}
