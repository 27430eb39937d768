{{- /*
natsmith.serverSecrets — in: root; out: JSON list of the Secrets with what nats.conf includes

Each is there as a whole: a list of its keys would be another one with each user, and a changed pod restarts the server.
*/ -}}
{{- define "natsmith.serverSecrets" -}}
{{- $secrets := list -}}
{{- range include "natsmith.users" . | fromJsonArray -}}
{{- if ne .kind "nkey" }}{{ $secrets = append $secrets .secret }}{{ end -}}
{{- end -}}
{{- with include "natsmith.routesSecret" . }}{{ $secrets = append $secrets . }}{{ end -}}
{{- uniq $secrets | sortAlpha | toRawJson -}}
{{- end -}}

{{- /* natsmith.foreignVersions — in: root; out: the versions of the Secrets that servers read and this release does not make, so that another content is loaded; as far as Helm can look */ -}}
{{- define "natsmith.foreignVersions" -}}
{{- $names := without (include "natsmith.serverSecrets" . | fromJsonArray) (include "natsmith.credentialsSecret" .) -}}
{{- with include "natsmith.tlsSecret" . }}{{ $names = append $names . }}{{ end -}}
{{- range $names -}}
{{- with lookup "v1" "Secret" $.Release.Namespace . }}{{ printf "%s %s\n" .metadata.name .metadata.resourceVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /*
natsmith.plainFile — in: root; out: the name of a file beside the plain passwords, which changes with them; empty without any

nats.conf includes it, so a server that has one of the two already and not yet the other refuses to load them, and is asked again.
*/ -}}
{{- define "natsmith.plainFile" -}}
{{- with include "natsmith.plainDigest" (dict "root" .) }}{{ printf "plain-%s.conf" . }}{{ end -}}
{{- end -}}

{{- /* natsmith.clientSecrets — in: dict root, roles, account; out: YAML list of the projected sources with what users of these roles log in with */ -}}
{{- define "natsmith.clientSecrets" -}}
{{- $files := dict -}}
{{- range $role := .roles -}}
{{- range include "natsmith.reachable" (dict "root" $.root "role" $role "account" $.account) | fromJsonArray -}}
{{- $file := dict "key" (printf "%s.password" .key) "path" (printf "%s.password" .key) -}}
{{- if eq .kind "nkey" -}}
{{- $file = dict "key" (.given.seedSecret.key | default "seed") "path" (printf "%s.nk" .key) -}}
{{- end -}}
{{- $_ := set $files .secret (append (get $files .secret | default list) $file) -}}
{{- end -}}
{{- end -}}
{{- include "natsmith.sources" $files -}}
{{- end -}}

{{- /* natsmith.sources — in: dict secret -> items; out: YAML list of sources for a projected volume */ -}}
{{- define "natsmith.sources" -}}
{{- range $secret, $items := . }}
- secret:
    name: {{ $secret | quote }}
    items:
      {{- toYaml $items | nindent 6 }}
{{- end -}}
{{- end -}}

{{- /*
natsmith.generated — in: root; out: JSON of the Secret's data (plain text) and of which keys were generated here

What was generated stays, release after release: it is read back from the cluster. `helm template` and Argo CD cannot look,
so there each rendering is another one. Keys of a generation never change their meaning; those of the newest name an application's, and
clients that read both, login and password, need not know about generations.
*/ -}}
{{- define "natsmith.generated" -}}
{{- $old := lookup "v1" "Secret" .Release.Namespace (include "natsmith.credentialsSecret" .) | default dict -}}
{{- $oldData := get $old "data" | default dict -}}
{{- $kept := regexSplit " +" (get ((get $old "metadata" | default dict).annotations | default dict) "natsmith/generated") -1 -}}
{{- $data := dict -}}
{{- $generated := list -}}
{{- $wanted := list -}}
{{- range include "natsmith.users" . | fromJsonArray -}}
{{- if has .kind (list "generated" "password") }}{{ $wanted = append $wanted . }}{{ end -}}
{{- end -}}
{{- if and (gt (int .Values.nats.replicas) 1) (not .Values.nats.cluster.existingSecret) (not .Values.credentials.existingSecret) -}}
{{- $wanted = append $wanted (dict "key" "routes" "kind" "generated") -}}
{{- end -}}
{{- range $wanted -}}
{{- $name := printf "%s.password" .key -}}
{{- $password := randAlphaNum 32 -}}
{{- if eq .kind "password" -}}
{{- $password = .password -}}
{{- else -}}
{{- $generated = append $generated .key -}}
{{- if and (has .key $kept) (hasKey $oldData $name) }}{{ $password = get $oldData $name | b64dec }}{{ end -}}
{{- end -}}
{{- $_ := set $data $name $password -}}
{{- if eq .key "routes" -}}
{{- $_ := set $data "routes.conf" (include "natsmith.routesConf" (dict "root" $ "password" $password)) -}}
{{- else -}}
{{- $_ := set $data (printf "%s.conf" .key) (printf "password: %s\n" (include "natsmith.conf.string" $password)) -}}
{{- if and .newest (eq .role "application") -}}
{{- $_ := set $data (printf "%s.newest.user" .user) .login -}}
{{- $_ := set $data (printf "%s.newest.password" .user) $password -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with include "natsmith.plainFile" . }}{{ $_ := set $data . "# The name follows from the plain passwords.\n" }}{{ end -}}
{{- dict "data" $data "generated" $generated | toRawJson -}}
{{- end -}}

{{- /* natsmith.routesConf — in: dict root, password; out: routes.conf. A server dials each by its pod's name. */ -}}
{{- define "natsmith.routesConf" -}}
{{- $full := include "natsmith.fullname" .root -}}
{{- $password := .password -}}
authorization: {user: "routes", password: {{ include "natsmith.conf.string" $password }}}
routes: [
{{- range until (int .root.Values.nats.replicas) }}
  "nats-route://routes:{{ $password }}@{{ $full }}-{{ . }}.{{ $full }}-headless:6222"
{{- end }}
]
{{ end -}}
