// Added to the controller of ingress-nginx; see docs/adr/0031-ingresses-of-people-who-are-not-trusted.md.

package controller

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	networking "k8s.io/api/networking/v1"

	"k8s.io/ingress-nginx/internal/ingress/annotations/parser"
)

// Policies of the API server validate what is written; this holds for what was stored before them, or around them. It is
// wider than they are: it refuses only what would not be one word, or not one quoted string, of nginx' configuration.
var (
	quantifier = regexp.MustCompile(`\{[0-9]{1,9}(,[0-9]{0,9})?\}`)
	variable   = regexp.MustCompile(`\$\{[A-Za-z0-9_]+\}`)
	escape     = regexp.MustCompile(`\\[^\\"';{}\x00-\x20\x7f]`)
	harmless   = regexp.MustCompile(`^[^\\"';{}#\x00-\x1f\x7f]*$`)
)

// written are the annotations whose text becomes part of nginx' configuration. Others are numbers, names of objects,
// networks, or are read by Lua at run time. Snippets are configuration: annotations-risk-level decides about them.
var written = map[string]bool{
	"app-root": true, "auth-cache-duration": true, "auth-cache-key": true, "auth-method": true, "auth-realm": true,
	"auth-request-redirect": true, "auth-response-headers": true, "auth-signin": true, "auth-signin-redirect-param": true,
	"auth-tls-error-page": true, "auth-tls-match-cn": true, "auth-tls-verify-client": true, "auth-type": true,
	"auth-url": true, "backend-protocol": true, "client-body-buffer-size": true, "connection-proxy-header": true,
	"cors-allow-headers": true, "cors-allow-methods": true, "cors-allow-origin": true, "cors-expose-headers": true,
	"fastcgi-index": true, "global-rate-limit-key": true, "mirror-host": true, "mirror-request-body": true,
	"mirror-target": true, "permanent-redirect": true, "proxy-body-size": true, "proxy-buffer-size": true,
	"proxy-buffering": true, "proxy-cookie-domain": true, "proxy-cookie-path": true, "proxy-http-version": true,
	"proxy-max-temp-file-size": true, "proxy-next-upstream": true, "proxy-redirect-from": true, "proxy-redirect-to": true,
	"proxy-request-buffering": true, "proxy-ssl-ciphers": true, "proxy-ssl-name": true, "proxy-ssl-protocols": true,
	"proxy-ssl-server-name": true, "proxy-ssl-verify": true, "rewrite-target": true,
	"satisfy": true, "server-alias": true, "ssl-ciphers": true, "temporal-redirect": true, "upstream-vhost": true,
	"x-forwarded-prefix": true,
}

// unfit says why an Ingress cannot become configuration, or nothing.
func unfit(ing *networking.Ingress) string {
	for _, rule := range ing.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for i := range rule.HTTP.Paths {
			if path := rule.HTTP.Paths[i].Path; !fits(path) || strings.Contains(path, " ") {
				return fmt.Sprintf("the path %q has characters that nginx' configuration gives a meaning to", path)
			}
		}
	}
	return unfitAnnotation(ing.GetAnnotations())
}

func unfitAnnotation(annotations map[string]string) string {
	names := make([]string, 0, len(annotations))
	for name := range annotations {
		names = append(names, name)
	}
	sort.Strings(names) // the same reason every time
	for _, name := range names {
		value := strings.TrimSpace(annotations[name])
		if strings.HasPrefix(name, parser.AnnotationsPrefix+"/") && written[parser.TrimAnnotationPrefix(name)] && !fits(value) {
			return fmt.Sprintf("the annotation %s has characters that nginx' configuration gives a meaning to", name)
		}
	}
	return ""
}

func fits(text string) bool {
	// In this order, and with something in their place: what is left must not close up to another of them.
	for _, allowed := range []*regexp.Regexp{escape, variable, quantifier} {
		text = allowed.ReplaceAllLiteralString(text, ".")
	}
	return harmless.MatchString(text)
}
