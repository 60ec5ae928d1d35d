// Takes the place of the file of this name in github.com/abbot/go-http-auth; see
// docs/adr/0024-traefik-from-modules.md.
package auth

import "net/http"

// DigestAuth is Traefik's authenticator of the middleware `digestAuth`. It admits nobody: digest authentication is made
// of MD5, and the version of this module that can be had accepts users that nobody has configured.
type DigestAuth struct{}

// NewDigestAuthenticator gives the authenticator, which has no use for users.
func NewDigestAuthenticator(string, SecretProvider) *DigestAuth {
	return &DigestAuth{}
}

// DigestAuthParams gives no parameters: Traefik only writes the name of the user who was not admitted into its access log.
func DigestAuthParams(string) map[string]string {
	return nil
}

// CheckAuth gives no user.
func (*DigestAuth) CheckAuth(*http.Request) (username string, authinfo *string) {
	return "", nil
}

// RequireAuth answers that this cannot be served; a browser would ask for a password again and again otherwise.
func (*DigestAuth) RequireAuth(answer http.ResponseWriter, _ *http.Request) {
	http.Error(answer, "digest authentication is not in this build of Traefik", http.StatusServiceUnavailable)
}

// RequireAuthStale is RequireAuth.
func (authenticator *DigestAuth) RequireAuthStale(answer http.ResponseWriter, request *http.Request) {
	authenticator.RequireAuth(answer, request)
}
