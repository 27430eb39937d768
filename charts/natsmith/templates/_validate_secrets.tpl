{{- /*
natsmith.validate.secrets — in: root; out: a line for each Secret of somebody else's that is not there, or lacks a key

A pod that misses one waits without a word, and on an upgrade it is the server's: Helm would only say that the Job took too long.
Only where somebody waits at a terminal (mode hook): with GitOps a Secret may come a moment later, and from a parent chart with the release.
*/ -}}
{{- define "natsmith.validate.secrets" -}}
{{- $namespace := .Release.Namespace -}}
{{- $terminal := and .Chart.IsRoot (eq .Values.provisioner.mode "hook") -}}
{{- /* Every namespace has this ConfigMap: who does not find it, as `helm template`, cannot look. */ -}}
{{- if and $terminal (lookup "v1" "ConfigMap" $namespace "kube-root-ca.crt") }}
{{- range $where, $need := include "natsmith.foreignSecrets" . | fromJson }}
{{- $secret := lookup "v1" "Secret" $namespace $need.secret | default dict }}
{{- $lacks := list }}
{{- range $need.keys }}{{ if not (hasKey ($secret.data | default dict) .) }}{{ $lacks = append $lacks . }}{{ end }}{{ end }}
{{- if not $secret }}
{{ $where }} is {{ $need.secret }}, but namespace {{ $namespace }} has no such Secret: create it first, with {{ join ", " $need.keys }}; or correct the name
{{- else if $lacks }}
{{ $where }} is {{ $need.secret }}, but that Secret in namespace {{ $namespace }} lacks {{ join ", " $lacks }}: add {{ ternary "it" "them" (eq (len $lacks) 1) }} there, or name another Secret
{{- $only := list }}
{{- $before := false }}
{{- range $lacks }}
{{- with get $need.made . }}{{ $only = append $only (printf "--only %s" .) }}{{ end }}
{{- if has . $need.before }}{{ $before = true }}{{ end }}
{{- end }}
{{- with uniq $only }}. They come from `natsmith credentials -f VALUES --name {{ $need.secret }} {{ join " " . }}`: docs/credentials.md
{{- end }}
{{- if $before }}. Where nobody uses what was before, set overlap to false
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.namedAt — in: a user with files in somebody's Secret; out: the key in the values that names the Secret */ -}}
{{- define "natsmith.namedAt" -}}
{{- ternary "credentials.existingSecret" (printf "%s.existingSecret" .path) (empty .given.existingSecret) -}}
{{- end -}}

{{- /*
natsmith.foreignSecrets — in: root; out: JSON of the Secrets that pods wait for and this release does not make: key in the values -> secret, keys, and of these
made (key -> the user for whom `natsmith credentials` makes it) and before (keys of the generation before)
*/ -}}
{{- define "natsmith.foreignSecrets" -}}
{{- $needs := dict -}}
{{- $found := list -}}
{{- if .Values.nats.enabled -}}
{{- range include "natsmith.users" . | fromJsonArray -}}
{{- if eq .kind "existing" }}{{ $found = append $found (list (include "natsmith.namedAt" .) .secret (printf "%s.conf" .key) .) }}{{ end -}}
{{- end -}}
{{- range $role := concat (list "provisioner" "monitor" "reloader") (ternary (list "application") list .Values.tests.enabled) -}}
{{- range include "natsmith.reachable" (dict "root" $ "role" $role) | fromJsonArray -}}
{{- if eq .kind "existing" -}}
{{- $found = append $found (list (include "natsmith.namedAt" .) .secret (printf "%s.password" .key) .) -}}
{{- else if eq .kind "nkey" -}}
{{- $found = append $found (list (printf "%s.seedSecret.name" .path) .secret (.given.seedSecret.key | default "seed")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $routes := .Values.nats.cluster.existingSecret | default .Values.credentials.existingSecret -}}
{{- if and $routes (gt (int .Values.nats.replicas) 1) -}}
{{- $found = append $found (list (ternary "nats.cluster.existingSecret" "credentials.existingSecret" (not (empty .Values.nats.cluster.existingSecret))) $routes "routes.conf") -}}
{{- end -}}
{{- with .Values.nats.tls.existingSecret -}}
{{- range $key := list "tls.crt" "tls.key" "ca.crt" }}{{ $found = append $found (list "nats.tls.existingSecret" $.Values.nats.tls.existingSecret $key) }}{{ end -}}
{{- end -}}
{{- else -}}
{{- with .Values.provisioner.connection -}}
{{- if .existingSecret }}{{ $found = append $found (list "provisioner.connection.existingSecret" .existingSecret "connections.yaml") }}{{ end -}}
{{- if .tls.existingSecret -}}
{{- $secret := .tls.existingSecret -}}
{{- range ternary (list "ca.crt" "tls.crt" "tls.key") (list "ca.crt") .tls.clientCertificate }}{{ $found = append $found (list "provisioner.connection.tls.existingSecret" $secret .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $found -}}
{{- $where := index . 0 -}}
{{- $key := index . 2 -}}
{{- $need := get $needs $where | default (dict "secret" (index . 1) "keys" list "made" dict "before" list) -}}
{{- $_ := set $need "keys" (append $need.keys $key) -}}
{{- if gt (len .) 3 -}}
{{- $login := index . 3 -}}
{{- if $login.newest }}{{ $_ := set $need.made $key $login.user }}{{ else }}{{ $_ := set $need "before" (append $need.before $key) }}{{ end -}}
{{- end -}}
{{- $_ := set $needs $where $need -}}
{{- end -}}
{{- toRawJson $needs -}}
{{- end -}}
