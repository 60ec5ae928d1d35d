{{/*
What an Ingress may say. A value that the controller itself would not take is not here either; where the controller takes
more (its expressions are not always about the whole value), this takes less.

Of each type: RE2 of the whole value, and what a message calls it. No single quotes: they end a string of CEL.
*/}}
{{- define "nginx.types" -}}
bool: {is: '(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)', says: "true or false"}
switch: {is: '(on|off)', says: "on or off"}
number: {is: '[0-9]{1,9}', says: "a whole number"}
integer: {is: '-?[0-9]{1,9}', says: "a whole number"}
size: {is: '[0-9]{1,9}[bBkKmMgG]?', says: "a size, such as 8m"}
duration: {is: '([0-9]{1,9}(ms|s|m|h))+', says: "a duration, such as 90s"}
validities: {is: '([0-9]{3} +)*[0-9]{1,9}(ms|s|m|h|d|w|M|y)( *, *([0-9]{3} +)*[0-9]{1,9}(ms|s|m|h|d|w|M|y))*', says: "a list such as 200 202 10m, 401 5m"}
statuses: {is: '[45][0-9]{2}( *, *[45][0-9]{2})*', says: "a list of HTTP statuses from 400 on"}
redirection: {is: '3[0-9]{2}', says: "an HTTP status from 300 to 399"}
networks: {is: '\s*[0-9A-Fa-f.:]+(/[0-9]{1,3})?(\s*,\s*[0-9A-Fa-f.:]+(/[0-9]{1,3})?)*\s*', says: "a list of addresses and networks (CIDR)"}
word: {is: '[A-Za-z0-9._~:/-]+', says: "a word of letters, digits and . _ ~ : / -"}
text: {is: '[A-Za-z0-9._~:/ -]+', says: "a text of letters, digits, spaces and . _ ~ : / -"}
words: {is: '[A-Za-z0-9._~:/?&=-]+( +[A-Za-z0-9._~:/?&=-]+)*', says: "words of letters, digits and . _ ~ : / ? & = -"}
header: {is: '[A-Za-z0-9_-]+', says: "the name of a header"}
headers: {is: '[A-Za-z0-9_-]+( *, *[A-Za-z0-9_-]+)*', says: "a list of names of headers"}
exposed: {is: '([A-Za-z0-9_-]+|\*)( *, *([A-Za-z0-9_-]+|\*))*', says: "a list of names of headers, or *"}
method: {is: '(GET|HEAD|POST|PUT|PATCH|DELETE|CONNECT|OPTIONS|TRACE)', says: "a method of HTTP"}
methods: {is: '[A-Za-z]+( *, *[A-Za-z]+)*', says: "a list of methods of HTTP"}
origins: {is: '(\*|(https?://)?(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?( *, *(https?://)?(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?)*)', says: "a list of origins, such as https://*.example.com:8443, or *"}
hosts: {is: '(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*( *, *(\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*)*', says: "a list of host names; the first label may be *"}
host: {is: '([A-Za-z0-9._:-]|\$[A-Za-z0-9_]+)+', says: "a host name, with or without variables"}
variables: {is: '([A-Za-z0-9_-]|\$[A-Za-z0-9_]+|\$\{[A-Za-z0-9_]+\})+', says: "variables of nginx, letters, digits and _ -"}
hash: {is: '([A-Za-z0-9._:/ -]|\$[A-Za-z0-9_]+|\$\{[A-Za-z0-9_]+\})+', says: "variables of nginx, letters, digits and . _ : / -"}
path: {is: '/[A-Za-z0-9._~:/$-]*', says: "a path of letters, digits and . _ ~ : / - $"}
target: {is: '[A-Za-z0-9._~:/$-]+', says: "a path of letters, digits and . _ ~ : / -, with $1 and the like for groups"}
redirect: {is: '(default|off|[A-Za-z0-9._~:/?&=-]+)', says: "default, off or a URL"}
url: {is: '(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)?([/?][A-Za-z0-9._~:/?&=-]*)?', says: "a URL without escapes, variables or fragment"}
request: {is: 'https?://([A-Za-z0-9._-]|\$[A-Za-z0-9_]+)+(:[0-9]{1,5})?([/?]([A-Za-z0-9._~:/?&=,-]|\$[A-Za-z0-9_]+)*)?', says: "an http or https URL without escapes or fragment"}
signin: {is: '(https?://([A-Za-z0-9._-]|\$[A-Za-z0-9_]+)+(:[0-9]{1,5})?)?([/?]([A-Za-z0-9._~:/?&=,-]|\$[A-Za-z0-9_]+)*)?', says: "a URL without escapes or fragment"}
errorPage: {is: '((https?://)?[A-Za-z0-9.-]*(:[0-9]{1,5})?/[A-Za-z0-9.-]*)', says: "a URL with one path element"}
service: {is: '[a-z]([a-z0-9-]{0,61}[a-z0-9])?', says: "the name of a Service of the same namespace"}
object: {is: '([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?', says: "the name of an object, or namespace/name"}
ciphers: {is: '[A-Za-z0-9!:+_@=-]+', says: "a list of ciphers as OpenSSL has it"}
protocols: {is: 'TLSv1\.[23]( +TLSv1\.[23])*', says: "TLSv1.2, TLSv1.3 or both"}
commonName: {is: 'CN=([A-Za-z0-9._@ ()|*+?^$:,=/-]|\[([A-Za-z0-9/._^:@-]|\\[A-Za-z0-9._/-])+\]|\\[A-Za-z0-9._*+?()|^$-])+', says: "CN= and a regular expression without quotes, braces, ; and #"}
expression: {is: '([A-Za-z0-9._~/:^$()*+?|&=-]|\[([A-Za-z0-9/._^:@-]|\\[A-Za-z0-9._/-])+\]|\\[A-Za-z0-9._*+?()|^$/-])+', says: "a regular expression without quotes, braces, ; and #"}
verification: {is: '(on|off|optional|optional_no_ca)', says: "on, off, optional or optional_no_ca"}
failures: {is: '(error|timeout|invalid_header|http_500|http_502|http_503|http_504|http_403|http_404|http_429|non_idempotent|off)( +(error|timeout|invalid_header|http_500|http_502|http_503|http_504|http_403|http_404|http_429|non_idempotent|off))*', says: "a list of failures, such as error timeout http_502"}
backendProtocol: {is: '(?i:auto_http|http|https|grpc|grpcs|fcgi)', says: "AUTO_HTTP, HTTP, HTTPS, GRPC, GRPCS or FCGI"}
balancing: {is: '(round_robin|ewma|chash|chashsubset|sticky_balanced|sticky_persistent)', says: "round_robin or ewma"}
quantity: {is: '(any|all)', says: "any or all"}
affinity: {is: 'cookie', says: "cookie"}
affinityMode: {is: '(balanced|persistent)', says: "balanced or persistent"}
canaryBehavior: {is: '(sticky|legacy)', says: "sticky or legacy"}
sameSite: {is: '(?i:none|lax|strict)', says: "None, Lax or Strict"}
authentication: {is: '(basic|digest)', says: "basic or digest"}
secretKind: {is: '(auth-file|auth-map)', says: "auth-file or auth-map"}
httpVersion: {is: '1\.[01]', says: "1.0 or 1.1"}
connection: {is: '(close|keep-alive)', says: "close or keep-alive"}
snippet: {is: '(?s:.*)', says: "a part of nginx.conf"}
{{- end }}

{{/* Types by the names of annotations, for all that the controller reads. */}}
{{- define "nginx.annotations" -}}
{{- $types := dict
  "bool" "auth-always-set-cookie auth-keepalive-share-vars auth-tls-pass-certificate-to-upstream canary cors-allow-credentials disable-proxy-intercept-errors enable-access-log enable-cors enable-global-auth enable-modsecurity enable-opentelemetry enable-owasp-core-rules enable-rewrite-log force-ssl-redirect from-to-www-redirect http2-push-preload opentelemetry-trust-incoming-span preserve-trailing-slash service-upstream session-cookie-change-on-failure session-cookie-conditional-samesite-none session-cookie-secure ssl-passthrough ssl-prefer-server-ciphers ssl-redirect upstream-hash-by-subset use-port-in-redirects use-regex"
  "switch" "mirror-request-body proxy-buffering proxy-request-buffering proxy-ssl-server-name proxy-ssl-verify"
  "number" "auth-keepalive auth-keepalive-requests auth-keepalive-timeout auth-tls-verify-depth canary-weight canary-weight-total cors-max-age global-rate-limit limit-burst-multiplier limit-connections limit-rate limit-rate-after limit-rpm limit-rps proxy-buffers-number proxy-connect-timeout proxy-next-upstream-timeout proxy-next-upstream-tries proxy-read-timeout proxy-send-timeout proxy-ssl-verify-depth upstream-hash-by-subset-size"
  "integer" "session-cookie-expires session-cookie-max-age"
  "size" "client-body-buffer-size proxy-body-size proxy-buffer-size proxy-max-temp-file-size"
  "duration" "global-rate-limit-window"
  "validities" "auth-cache-duration"
  "statuses" "custom-http-errors"
  "redirection" "permanent-redirect-code"
  "networks" "allowlist-source-range denylist-source-range global-rate-limit-ignored-cidrs limit-allowlist limit-whitelist whitelist-source-range"
  "word" "auth-signin-redirect-param canary-by-cookie canary-by-header-value fastcgi-index opentelemetry-operation-name session-cookie-domain session-cookie-name"
  "text" "auth-realm"
  "words" "proxy-cookie-domain proxy-cookie-path"
  "header" "canary-by-header"
  "headers" "auth-response-headers cors-allow-headers"
  "exposed" "cors-expose-headers"
  "method" "auth-method"
  "methods" "cors-allow-methods"
  "origins" "cors-allow-origin"
  "hosts" "server-alias"
  "host" "mirror-host proxy-ssl-name upstream-vhost"
  "variables" "auth-cache-key global-rate-limit-key modsecurity-transaction-id"
  "hash" "upstream-hash-by"
  "path" "app-root session-cookie-path x-forwarded-prefix"
  "target" "rewrite-target"
  "redirect" "proxy-redirect-from proxy-redirect-to"
  "url" "auth-request-redirect permanent-redirect temporal-redirect"
  "request" "auth-url mirror-target"
  "signin" "auth-signin"
  "errorPage" "auth-tls-error-page"
  "service" "default-backend"
  "object" "auth-proxy-set-headers auth-secret auth-tls-secret custom-headers fastcgi-params-configmap proxy-ssl-secret"
  "ciphers" "proxy-ssl-ciphers ssl-ciphers"
  "protocols" "proxy-ssl-protocols"
  "commonName" "auth-tls-match-cn"
  "expression" "canary-by-header-pattern"
  "verification" "auth-tls-verify-client"
  "failures" "proxy-next-upstream"
  "backendProtocol" "backend-protocol"
  "balancing" "load-balance"
  "quantity" "satisfy"
  "affinity" "affinity"
  "affinityMode" "affinity-mode"
  "canaryBehavior" "affinity-canary-behavior"
  "sameSite" "session-cookie-samesite"
  "authentication" "auth-type"
  "secretKind" "auth-secret-type"
  "httpVersion" "proxy-http-version"
  "connection" "connection-proxy-header"
}}
{{- if .Values.controller.allowSnippetAnnotations }}
{{- $_ := set $types "snippet" "auth-snippet configuration-snippet modsecurity-snippet server-snippet stream-snippet" }}
{{- end }}
{{- $annotations := dict }}
{{- range $type, $names := $types }}
{{- range $name := splitList " " $names }}
{{- $_ := set $annotations $name $type }}
{{- end }}
{{- end }}
{{- range $name, $type := .Values.controller.admissionPolicies.annotations }}
{{- $_ := set $annotations $name (toString (default "" $type)) }}
{{- end }}
{{ toYaml $annotations }}
{{- end }}
