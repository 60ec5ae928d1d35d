// Takes the place of the file of this name in github.com/go-acme/lego/v5/providers/dns; see
// docs/adr/0024-traefik-from-modules.md.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/providers/dns/acmedns"
	"github.com/go-acme/lego/v5/providers/dns/dnsupdate"
	"github.com/go-acme/lego/v5/providers/dns/httpreq"
)

// NewDNSChallengeProviderByName gives the DNS provider that an ACME account's `dnsChallenge.provider` names. Only those are
// here that speak a protocol anybody may serve, and none that speaks to the programming interface of one vendor.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	switch name {
	case "acmedns", "acme-dns":
		return acmedns.NewDNSProvider()
	case "dnsupdate", "rfc2136":
		return dnsupdate.NewDNSProvider()
	case "httpreq":
		return httpreq.NewDNSProvider()
	}
	return nil, fmt.Errorf("DNS provider %q is not in this build of Traefik: there are acme-dns, httpreq and rfc2136", name)
}
