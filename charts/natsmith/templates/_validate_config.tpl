{{- /*
natsmith.validate.merge — in: root; out: a line for each thing that nats.config.merge takes from the chart

nats-server reads names of settings without regard to capitals, and has several names for some.
*/ -}}
{{- define "natsmith.validate.merge" -}}
{{- $merge := .Values.nats.config.merge }}
{{- if .Values.nats.enabled }}
{{- $ports := list "port" "listen" "host" "net" "client_advertise" }}
{{- $monitoring := list "http" "http_port" "https" "https_port" "monitor_port" "http_base_path" }}
{{- range $key, $value := $merge }}
{{- $path := printf "nats.config.merge.%s" $key }}
{{- $name := lower $key }}
{{- if has $name (concat $ports $monitoring (list "pid_file" "pidfile" "system_account" "system" "server_name")) }}
{{ $path }} is what Services, probes and users of this chart rely on: remove it{{ if has $name $ports }}, and see nats.service{{ else if has $name $monitoring }}, and see nats.tls.monitoring{{ else if hasPrefix "system" $name }}, and see nats.systemUser{{ end }}
{{- else if has $name (list "authorization" "operator" "operators" "resolver" "resolver_preload" "trusted" "trusted_keys" "roots") }}
{{ $path }} says who may log in, beside the accounts and Secrets by which this chart knows its users: write them under accounts, and remove it
{{- else if eq $name "cluster" }}
{{- include "natsmith.validate.merge.cluster" (dict "root" $ "path" $path "value" $value) }}
{{- else if eq $name "gateway" }}
{{- include "natsmith.validate.merge.gateway" (dict "root" $ "path" $path "value" $value) }}
{{- else if has $name (list "jetstream" "accounts") }}
{{- if not (and (eq $name $key) (kindIs "map" $value)) }}
{{ $path }} would take away what buckets and streams need: write a map of what to change in it, as {{ $name }}, or remove it
{{- else if eq $name "jetstream" }}
{{- range $inner, $_ := $value }}
{{- if has (lower $inner) (list "store_dir" "storedir" "store" "store-dir") }}
{{ $path }}.{{ $inner }} is where the volume is: remove it
{{- end }}
{{- end }}
{{- else }}
{{- include "natsmith.validate.merge.accounts" (dict "path" $path "value" $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.merge.cluster — in: dict root, path, value; out: a line for each thing by which servers find and trust each other */ -}}
{{- define "natsmith.validate.merge.cluster" -}}
{{- if eq (int .root.Values.nats.replicas) 1 }}
{{ .path }} makes a cluster of one server, with which JetStream does not start: set nats.replicas to 3 in a new release, or remove it
{{- else if not (kindIs "map" .value) }}
{{ .path }} would take away how the servers find each other: write a map of what to change in it, or remove it
{{- else }}
{{- range $key, $_ := .value }}
{{- if has (lower $key) (list "name" "port" "listen" "host" "net" "routes" "authorization" "no_advertise" "$include") }}
{{ $.path }}.{{ $key }} is how the servers find and trust each other: remove it{{ if eq (lower $key) "authorization" }}, and see nats.cluster.existingSecret{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.merge.gateway — in: dict root, path, value; out: a line for each thing with which servers do not start */ -}}
{{- define "natsmith.validate.merge.gateway" -}}
{{- $full := include "natsmith.fullname" .root }}
{{- if kindIs "map" .value }}
{{- if eq (int .root.Values.nats.replicas) 1 }}
{{ .path }} is for clusters: with a gateway one server alone takes itself for a part of one, and JetStream does not start. Set nats.replicas to 3 in a new release, or use leafnodes
{{- end }}
{{- if ne (get .value "name" | default "" | toString) $full }}
{{ .path }}.name is {{ get .value "name" | default "" | quote }}, but the cluster is called {{ $full }}, and no server starts with two names for it: set it to {{ $full }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.merge.accounts — in: dict path, value; out: a line for each account that loses what the release gives it */ -}}
{{- define "natsmith.validate.merge.accounts" -}}
{{- range $account, $body := .value }}
{{- $path := printf "%s.%s" $.path $account }}
{{- if not (kindIs "map" $body) }}
{{ $path }} would take the account away: write a map of what to change in it, or remove it
{{- else }}
{{- range $key, $_ := $body }}
{{- if eq (lower $key) "users" }}
{{ $path }}.{{ $key }} would replace the users that the release knows, the provisioner too: write them under accounts.{{ $account }}.users, and remove it
{{- else if or (eq $account "_natsmith") (and (eq $account "$SYS") (eq (lower $key) "exports")) }}
{{ $path }}.{{ $key }} is how the servers are asked to load what changed: remove it
{{- else if and (eq $account "$SYS") (eq (lower $key) "jetstream") }}
{{ $path }}.{{ $key }} would enable JetStream on the system account, with which the server does not start: remove it
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.ports — in: root; out: a line for each port that Kubernetes or a server of ours would not have */ -}}
{{- define "natsmith.validate.ports" -}}
{{- if .Values.nats.enabled }}
{{- $taken := dict "4222" "clients have" "8222" "monitoring has" "6222" "routes have" "7777" "the exporter has" }}
{{- $ours := list "client" "monitor" "routes" "exporter" }}
{{- range $name, $port := include "natsmith.named" .Values.nats.extraPorts | fromJson }}
{{- $path := printf "nats.extraPorts.%s" $name }}
{{- if has $name $ours }}
{{ $path }} has the name of a port of this chart: call it something else
{{- else if or (gt (len $name) 15) (not (regexMatch "^[a-z0-9]+(-[a-z0-9]+)*$" $name)) (not (regexMatch "[a-z]" $name)) }}
{{ $path }} has a name that Kubernetes does not allow a port: use at most 15 small letters, digits and single -, with one letter at least
{{- end }}
{{- $number := int $port.port | toString }}
{{- with get $taken $number }}
{{ $path }}.port is {{ $number }}, which {{ . }}: choose another, there and in nats.config.merge
{{- end }}
{{- $_ := set $taken $number (printf "%s has" $path) }}
{{- end }}
{{- end }}
{{- end -}}
