// An OCI registry for tests: the distribution project's own, with a server beside it that gives tokens to who knows the
// password. Its arguments: a folder, where to listen, who is let in (anyone, basic, token), where to give tokens, a user
// and a password.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"
)

const issuer = "testkit"
const service = "registry"

func main() {
	folder, address, access, tokens, user, password := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	lines := []string{
		"version: 0.1",
		"log: {level: error, accesslog: {disabled: true}}",
		fmt.Sprintf("storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}", filepath.Join(folder, "storage")),
		fmt.Sprintf("http: {addr: %q, secret: testkit%s}", address, tls(folder)),
	}
	switch access {
	case "token":
		keys := serveTokens(folder, tokens, user, password)
		realm := "http://" + tokens + "/token"
		lines = append(lines, fmt.Sprintf("auth: {token: {realm: %q, service: %s, issuer: %s, jwks: %q}}", realm, service, issuer, keys))
	case "basic":
		passwords := filepath.Join(folder, "htpasswd")
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		check(err)
		check(os.WriteFile(passwords, []byte(user+":"+string(hash)+"\n"), 0o600))
		lines = append(lines, fmt.Sprintf("auth: {htpasswd: {realm: testkit, path: %q}}", passwords))
	}
	config, err := configuration.Parse(strings.NewReader(strings.Join(lines, "\n")))
	check(err)
	server, err := registry.NewRegistry(context.Background(), config)
	check(err)
	check(server.ListenAndServe())
}

// tls is what stands in the configuration where there is a certificate in the folder.
func tls(folder string) string {
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	if _, err := os.Stat(certificate); err != nil {
		return ""
	}
	return fmt.Sprintf(", tls: {certificate: %q, key: %q}", certificate, key)
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// serveTokens gives tokens at the address, and returns the file of the keys that they are signed with.
func serveTokens(folder, address, user, password string) string {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "testkit", Algorithm: "ES256", Use: "sig"}}}
	text, err := json.Marshal(keys)
	check(err)
	path := filepath.Join(folder, "jwks.json")
	check(os.WriteFile(path, text, 0o600))
	signing := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "testkit"}}
	signer, err := jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT"))
	check(err)
	http.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		given, secret, _ := r.BasicAuth()
		if given != user || secret != password || r.URL.Query().Get("service") != service {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		var granted []access
		for _, scope := range r.URL.Query()["scope"] {
			parts := strings.Split(scope, ":")
			if len(parts) == 3 {
				granted = append(granted, access{parts[0], parts[1], strings.Split(parts[2], ",")})
			}
		}
		now := time.Now()
		claims := jwt.Claims{
			Issuer: issuer, Subject: given, Audience: jwt.Audience{service}, ID: fmt.Sprint(now.UnixNano()),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-time.Minute)),
			Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute)),
		}
		token, err := jwt.Signed(signer).Claims(claims).Claims(map[string]any{"access": granted}).Serialize()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
	})
	go func() { check(http.ListenAndServe(address, nil)) }()
	return path
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
