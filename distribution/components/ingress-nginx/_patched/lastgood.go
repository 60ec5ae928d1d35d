// Added to the controller of ingress-nginx; see docs/adr/0031-ingresses-of-people-who-are-not-trusted.md.

package controller

import (
	"fmt"
	"regexp"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"k8s.io/ingress-nginx/internal/k8s"
	"k8s.io/ingress-nginx/pkg/apis/ingress"
)

// lastGood keeps one Ingress that nginx does not accept from freezing the configuration of all others.
//
// nginx takes a configuration as a whole or not at all. After a refusal the Ingresses are found that it does not take;
// each is served from then on in the version nginx took last, or left out if there is none, until it changes.
//
// A version is known by its pointer: the store makes a new object whenever an Ingress, or a Secret or ConfigMap that its
// annotations name, changes, so that whatever may mend a version also has it tried again. Only the goroutine of the
// synchronization uses it. Nothing survives the process.
type lastGood struct {
	accepted map[string]*ingress.Ingress
	refused  map[string]*ingress.Ingress
	told     map[string]string
}

// versions is a choice of at most one version of each Ingress, by namespace and name.
type versions map[string]*ingress.Ingress

// of gives the chosen versions in the order of `listed`. The order decides who gets a host and path that two claim.
func (v versions) of(listed []*ingress.Ingress) []*ingress.Ingress {
	chosen := make([]*ingress.Ingress, 0, len(listed))
	for _, ing := range listed {
		if version, ok := v[k8s.MetaNamespaceKey(ing)]; ok {
			chosen = append(chosen, version)
		}
	}
	return chosen
}

func (v versions) clone() versions {
	copied := make(versions, len(v))
	for key, version := range v {
		copied[key] = version
	}
	return copied
}

// servedIngresses gives of every listed Ingress the version that is to be served, and none of one that has no such version.
func (n *NGINXController) servedIngresses(listed []*ingress.Ingress) []*ingress.Ingress {
	n.lastGood.forget(listed)
	chosen := versions{}
	for _, ing := range listed {
		key := k8s.MetaNamespaceKey(ing)
		if reason := unfit(&ing.Ingress); reason != "" {
			n.refuse(ing, reason)
		}
		if n.lastGood.refused[key] != ing {
			chosen[key] = ing
		} else if good, ok := n.lastGood.accepted[key]; ok {
			chosen[key] = good
		}
	}
	return chosen.of(listed)
}

// acceptIngresses remembers versions that nginx runs with.
func (n *NGINXController) acceptIngresses(served []*ingress.Ingress) {
	for _, ing := range served {
		key := k8s.MetaNamespaceKey(ing)
		n.lastGood.accepted[key] = ing
		if n.lastGood.refused[key] == nil {
			delete(n.lastGood.told, key)
		}
	}
}

// setAsideIngresses finds those of `served` that nginx does not take, and refuses them; the synchronization is tried again
// by its queue and then goes on without them.
func (n *NGINXController) setAsideIngresses(served []*ingress.Ingress) {
	settled, suspects := n.lastGood.split(served)
	if n.trial(settled.of(served)) != nil {
		// What nginx took before it takes no longer: a name cannot be resolved any more, a setting of the ConfigMap. What
		// was good then says nothing now.
		settled, suspects = versions{}, served
		n.lastGood.accepted = map[string]*ingress.Ingress{}
	}
	if err := n.trial(settled.of(served)); err != nil {
		klog.ErrorS(err, "NGINX does not accept the configuration without any Ingress either: see the controller's ConfigMap")
		return
	}
	n.bisect(settled, suspects, served)
}

// bisect adds to `settled` what nginx takes of `suspects`, and refuses the rest: with few of them in few attempts.
func (n *NGINXController) bisect(settled versions, suspects, served []*ingress.Ingress) versions {
	if len(suspects) == 0 {
		return settled
	}
	together := settled.clone()
	for _, ing := range suspects {
		together[k8s.MetaNamespaceKey(ing)] = ing
	}
	err := n.trial(together.of(served))
	if err == nil {
		return together
	}
	if len(suspects) == 1 {
		n.refuse(suspects[0], "nginx does not accept it: "+complaint(err))
		return settled
	}
	half := len(suspects) / 2
	return n.bisect(n.bisect(settled, suspects[:half], served), suspects[half:], served)
}

// trial lets nginx test the configuration of these Ingresses.
func (n *NGINXController) trial(ings []*ingress.Ingress) error {
	cfg := n.store.GetBackendConfiguration()
	cfg.Resolver = n.resolver
	_, _, pcfg := n.getConfiguration(ings)
	content, err := n.generateTemplate(cfg, *pcfg)
	if err != nil {
		return err
	}
	return n.testTemplate(content)
}

// refuse serves the version no longer, and says so once of every state of the object.
func (n *NGINXController) refuse(ing *ingress.Ingress, reason string) {
	key := k8s.MetaNamespaceKey(ing)
	n.lastGood.refused[key] = ing
	instead := "it is left out until it is changed"
	if _, ok := n.lastGood.accepted[key]; ok {
		instead = "what it said before stays in force until it is changed"
	}
	state := fmt.Sprintf("%d %s", ing.Generation, reason)
	if n.lastGood.told[key] == state {
		return
	}
	n.lastGood.told[key] = state
	klog.Warningf("Ingress %s is not served as it is: %s; %s", key, reason, instead)
	n.recorder.Eventf(&ing.Ingress, apiv1.EventTypeWarning, "NotServed", "This Ingress is not served as it is: %s; %s", reason, instead)
}

func newLastGood() lastGood {
	return lastGood{map[string]*ingress.Ingress{}, map[string]*ingress.Ingress{}, map[string]string{}}
}

// split gives the versions that nginx runs with, and those that it has not been seen to take.
func (l *lastGood) split(served []*ingress.Ingress) (versions, []*ingress.Ingress) {
	settled, suspects := versions{}, []*ingress.Ingress{}
	for _, ing := range served {
		key := k8s.MetaNamespaceKey(ing)
		good, ok := l.accepted[key]
		if ok {
			settled[key] = good
		}
		if good != ing {
			suspects = append(suspects, ing)
		}
	}
	return settled, suspects
}

// forget drops what is known of Ingresses that are gone or have a new version.
func (l *lastGood) forget(listed []*ingress.Ingress) {
	present := versions{}
	for _, ing := range listed {
		present[k8s.MetaNamespaceKey(ing)] = ing
	}
	for key := range l.accepted {
		if present[key] == nil {
			delete(l.accepted, key)
			delete(l.told, key)
		}
	}
	for key, ing := range l.refused {
		if present[key] != ing {
			delete(l.refused, key)
		}
		if present[key] == nil {
			delete(l.told, key)
		}
	}
}

// nginxError finds what nginx says in the output of its test, without the file and line of a file nobody will find again.
var nginxError = regexp.MustCompile(`\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?(?:\n|$)`)

func complaint(err error) string {
	if found := nginxError.FindStringSubmatch(err.Error()); found != nil {
		return found[1]
	}
	return strings.TrimSpace(err.Error())
}
