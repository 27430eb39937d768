{{- /* natsmith.owner — in: root; out: in whose name objects are provisioned; charts inside one release own different ones */ -}}
{{- define "natsmith.owner" -}}
{{- printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- if not .Chart.IsRoot }}{{ printf ".%s" (include "natsmith.name" .) }}{{ end -}}
{{- end -}}

{{- /* natsmith.bareAccounts — in: root; out: JSON of the accounts by name, with nothing in them */ -}}
{{- define "natsmith.bareAccounts" -}}
{{- $accounts := dict -}}
{{- range $name, $_ := include "natsmith.accounts" . | fromJson }}{{ $_ := set $accounts $name dict }}{{ end -}}
{{- toRawJson $accounts -}}
{{- end -}}

{{- /* natsmith.desired — in: root; out: YAML of what the provisioner makes so: its part of the values as they are, and whose they are */ -}}
{{- define "natsmith.desired" -}}
{{- $desired := pick .Values "buckets" "streams" "objectStores" -}}
{{- $_ := set $desired "accounts" (include "natsmith.bareAccounts" . | fromJson) -}}
{{- $_ := set $desired "owner" (include "natsmith.owner" .) -}}
{{- $_ := set $desired "provisioner" (pick .Values.provisioner "onImmutable" "prune" "loss" "consent") -}}
{{- toYaml $desired -}}
{{- end -}}

{{- /* natsmith.connections — in: dict root, role, account (else all), server (host and port, else the Service's); out: YAML of how to log in to each account; no secret is inside */ -}}
{{- define "natsmith.connections" -}}
{{- $root := .root -}}
{{- $tls := include "natsmith.tlsSecret" $root -}}
{{- $connections := dict "server" (printf "%s://%s" (include "natsmith.scheme" $root) (.server | default (printf "%s:4222" (include "natsmith.server" $root)))) -}}
{{- if $tls }}{{ $_ := set $connections "tlsCA" "tls/ca.crt" }}{{ end -}}
{{- /* Certificates have the Service's name, and not always a pod's. */ -}}
{{- if and $tls .server }}{{ $_ := set $connections "tlsName" (include "natsmith.server" $root) }}{{ end -}}
{{- if and $tls $root.Values.nats.tls.verifyClients -}}
{{- $_ := set $connections "tlsCert" "tls/tls.crt" -}}
{{- $_ := set $connections "tlsKey" "tls/tls.key" -}}
{{- end -}}
{{- $accounts := dict -}}
{{- range include "natsmith.reachable" . | fromJsonArray -}}
{{- $way := dict "user" .login "passwordFile" (printf "%s.password" .key) -}}
{{- if eq .kind "nkey" }}{{ $way = dict "nkey" (printf "%s.nk" .key) }}{{ end -}}
{{- if ne .role "application" }}{{ $_ := set $way "inboxPrefix" "_INBOX_natsmith" }}{{ end -}}
{{- $_ := set $accounts .account $way -}}
{{- end -}}
{{- $_ := set $connections "accounts" $accounts -}}
{{- toYaml $connections -}}
{{- end -}}

{{- /* natsmith.monitorConnections — in: root; out: YAML of how the monitor logs in to each account, empty where someone else runs the server and says so */ -}}
{{- define "natsmith.monitorConnections" -}}
{{- if .Values.nats.enabled }}{{ include "natsmith.connections" (dict "root" . "role" "monitor") }}{{ end -}}
{{- end -}}

{{- /*
natsmith.reachable — in: dict root, role, account (else all); out: JSON list with one user of that role for each account that a pod of ours can log in as

Of the applications it is the first that may do everything and whose secret the release knows.
*/ -}}
{{- define "natsmith.reachable" -}}
{{- $chosen := list -}}
{{- $seen := dict -}}
{{- range include "natsmith.users" .root | fromJsonArray -}}
{{- if and (eq .role $.role) .ours (has $.account (list nil .account)) .secret (not .given.permissions) (not (hasKey $seen .account)) -}}
{{- $_ := set $seen .account true -}}
{{- $chosen = append $chosen . -}}
{{- end -}}
{{- end -}}
{{- toRawJson $chosen -}}
{{- end -}}

{{- /* natsmith.openConnections — in: root; out: YAML of the connections to a server that asks for no login */ -}}
{{- define "natsmith.openConnections" -}}
{{- dict "server" .Values.provisioner.connection.server "accounts" (include "natsmith.bareAccounts" . | fromJson) | toYaml -}}
{{- end -}}
