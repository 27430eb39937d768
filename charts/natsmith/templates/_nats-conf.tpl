{{- /* natsmith.conf — in: root; out: nats.conf. It is data up to the last line, so that nobody has to quote anything. */ -}}
{{- define "natsmith.conf" -}}
{{- $conf := include "natsmith.conf.made" . | fromJson -}}
{{- /* The Job asks for the tag: it says what a server has loaded. Tags of config.merge stay. */}}
{{- $key := "server_tags" -}}
{{- range keys $conf }}{{ if eq (lower .) "server_tags" }}{{ $key = . }}{{ end }}{{ end -}}
{{- $tags := get $conf $key | default list -}}
{{- $_ := set $conf $key (append (kindIs "slice" $tags | ternary $tags (list $tags)) (include "natsmith.conf.tag" .)) -}}
{{- with include "natsmith.plainFile" . }}{{ $_ := set $conf "$include" . }}{{ end -}}
{{- include "natsmith.conf.text" $conf -}}
{{- end -}}

{{- /* natsmith.conf.made — in: root; out: JSON of nats.conf but for what tells it from another */ -}}
{{- define "natsmith.conf.made" -}}
{{- $conf := include "natsmith.conf.server" . | fromYaml -}}
{{- $_ := set $conf "jetstream" (include "natsmith.conf.jetstream" . | fromYaml) -}}
{{- $_ := set $conf "accounts" (include "natsmith.conf.accounts" . | fromJson) -}}
{{- if gt (int .Values.nats.replicas) 1 -}}
{{- $_ := set $conf "cluster" (include "natsmith.conf.cluster" . | fromYaml) -}}
{{- end -}}
{{- if include "natsmith.tlsSecret" . -}}
{{- $_ := set $conf "tls" (include "natsmith.conf.tls" (dict "verify" .Values.nats.tls.verifyClients) | fromYaml) -}}
{{- end -}}
{{- include "natsmith.conf.lay" (dict "under" $conf "over" .Values.nats.config.merge) -}}
{{- toRawJson $conf -}}
{{- end -}}

{{- /*
natsmith.conf.lasting — in: root; out: a word that changes with what a running server keeps until it restarts

That is all but accounts, which a reload changes: users, permissions, limits. What a reload might change as well restarts too,
and so do other credentials of the reloader: with them nobody could ask servers that know the old ones.
*/ -}}
{{- define "natsmith.conf.lasting" -}}
{{- $given := pick .Values.nats.reloader "nkey" "existingSecret" | toRawJson -}}
{{- list (omit (include "natsmith.conf.made" . | fromJson) "accounts" | toRawJson) $given (include "natsmith.plainDigest" (dict "root" . "role" "reloader")) | join "\n" | sha256sum | trunc 12 -}}
{{- end -}}

{{- /* natsmith.conf.tag — in: root; out: what a server calls a configuration: what lasts until it restarts, and all of it with the Secrets that it includes */ -}}
{{- define "natsmith.conf.tag" -}}
{{- $all := list (include "natsmith.conf.made" .) (include "natsmith.plainFile" .) (include "natsmith.foreignVersions" .) | join "\n" | sha256sum | trunc 12 -}}
{{- printf "natsmith:%s-%s" (include "natsmith.conf.lasting" .) $all -}}
{{- end -}}

{{- /* natsmith.conf.server — in: root; out: YAML of what concerns the whole server; its name is the pod's, from the environment */ -}}
{{- define "natsmith.conf.server" -}}
port: 4222
server_name: $SERVER_NAME
{{ ternary "https_port" "http_port" (and .Values.nats.tls.monitoring (include "natsmith.tlsSecret" . | empty | not)) }}: 8222
pid_file: /var/run/nats/nats.pid
system_account: $SYS
# JetStream is gone from a leaving server at once, so its clients have nothing to wait for; nats-server waits 10 s by itself.
lame_duck_grace_period: 1s
lame_duck_duration: {{ int64 .Values.nats.lameDuckSeconds }}s
{{- end -}}

{{- /* natsmith.conf.jetstream — in: root; out: YAML of the stores and their limits */ -}}
{{- define "natsmith.conf.jetstream" -}}
{{- /* A cluster deletes what one server stored, so each shape has a directory of its own: a wrong start begins empty instead. */}}
store_dir: {{ ternary "/data/cluster" "/data/jetstream" (gt (int .Values.nats.replicas) 1) }}
max_memory_store: {{ include "natsmith.bytes" .Values.nats.jetstream.memory }}
max_file_store: {{ include "natsmith.grow.maxFileStore" . | default (include "natsmith.maxFileStore" .) }}
{{- with .Values.nats.jetstream.domain }}
domain: {{ . | quote }}
{{- end }}
{{- end -}}

{{- /* natsmith.maxFileStore — in: root; out: bytes; nine tenths of the volume, since the file system and the server need some too */ -}}
{{- define "natsmith.maxFileStore" -}}
{{- with .Values.nats.jetstream -}}
{{- if .maxFileStore -}}
{{- include "natsmith.bytes" .maxFileStore -}}
{{- else -}}
{{- div (mul 9 (include "natsmith.bytes" .storage.size | int64)) 10 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
natsmith.conf.accounts — in: root; out: JSON of all accounts with their users; passwords are in files beside

Servers of a cluster whose store is full elect nobody: no stream can be read, or emptied. An account that is full refuses what
does not fit, and nothing else. So each has a limit, which counts every copy: where the values say none, nine tenths of what all
servers have, since servers tell each other only after a second how much there is.
*/ -}}
{{- define "natsmith.conf.accounts" -}}
{{- $conf := include "natsmith.conf.reloading" . | fromYaml -}}
{{- $stores := include "natsmith.conf.jetstream" . | fromYaml -}}
{{- $servers := int64 .Values.nats.replicas -}}
{{- range $account, $body := include "natsmith.accounts" . | fromJson -}}
{{- $limits := dict -}}
{{- range $limit, $key := dict "max_memory" "memory" "max_file" "storage" -}}
{{- $said := get ($body.jetstream | default dict) $key -}}
{{- if $said -}}
{{- $_ := set $limits $limit (include "natsmith.bytes" $said | int64) -}}
{{- else if gt $servers 1 -}}
{{- $_ := set $limits $limit (div (mul 9 $servers (get $stores (printf "%s_store" $limit) | int64)) 10) -}}
{{- end -}}
{{- end -}}
{{- with $body.jetstream -}}
{{- if .streams }}{{ $_ := set $limits "max_streams" (int64 .streams) }}{{ end -}}
{{- if .consumers }}{{ $_ := set $limits "max_consumers" (int64 .consumers) }}{{ end -}}
{{- end -}}
{{- $_ := set $conf $account (dict "jetstream" (ternary $limits "enabled" (gt (len $limits) 0)) "users" list) -}}
{{- end -}}
{{- range include "natsmith.users" . | fromJsonArray -}}
{{- $user := dict "nkey" .nkey -}}
{{- if ne .kind "nkey" -}}
{{- $user = dict "user" .login "$include" (printf "%s.conf" .key) -}}
{{- end -}}
{{- if eq .role "provisioner" -}}
{{- $_ := set $user "permissions" (include "natsmith.provisionerRights" (dict "root" $ "account" .account) | fromYaml) -}}
{{- else if eq .role "reloader" -}}
{{- $_ := set $user "permissions" (include "natsmith.reloaderRights" $ | fromYaml) -}}
{{- else if eq .role "monitor" -}}
{{- $_ := set $user "permissions" (include "natsmith.monitorRights" (dict "root" $ "account" .account) | fromYaml) -}}
{{- else if .given.permissions -}}
{{- $_ := set $user "permissions" .given.permissions -}}
{{- end -}}
{{- $account := get $conf (get (dict "system" "$SYS" "reloader" "_natsmith") .role | default .account) -}}
{{- $_ := set $account "users" (append $account.users $user) -}}
{{- end -}}
{{- toRawJson $conf -}}
{{- end -}}

{{- /*
natsmith.conf.reloading — in: root; out: YAML of the system account, and of the one from which its servers are asked to reload

Rights alone would not keep the reloader from harm in the system account: whoever may ask there can have the answer sent to
$JS.API.ACCOUNT.PURGE.<account>, which removes all that the account stores. An account that imports the two questions gets its
answers in itself, where nobody listens: tests/live/test_reload_rights.py.
*/ -}}
{{- define "natsmith.conf.reloading" -}}
$SYS:
  users: []
  exports:
    - {service: $SYS.REQ.SERVER.PING, response_type: stream, accounts: [_natsmith]}
    - {service: $SYS.REQ.SERVER.*.RELOAD, accounts: [_natsmith]}
_natsmith:
  users: []
  imports:
    - {service: {account: $SYS, subject: $SYS.REQ.SERVER.PING}}
    - {service: {account: $SYS, subject: $SYS.REQ.SERVER.*.RELOAD}}
{{- end -}}

{{- /* natsmith.conf.cluster — in: root; out: YAML of how servers find and trust each other */ -}}
{{- define "natsmith.conf.cluster" -}}
name: {{ include "natsmith.fullname" . | quote }}
port: 6222
# Clients reconnect to the Service; the addresses of pods are of no use outside the cluster.
no_advertise: true
$include: routes.conf
{{- if and .Values.nats.tls.routes (include "natsmith.tlsSecret" .) }}
tls:
  {{- include "natsmith.conf.tls" (dict "verify" true) | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* natsmith.conf.tls — in: dict verify; out: YAML of a certificate, and of the one that the other side needs */ -}}
{{- define "natsmith.conf.tls" -}}
cert_file: /etc/nats-tls/tls.crt
key_file: /etc/nats-tls/tls.key
{{- if .verify }}
ca_file: /etc/nats-tls/ca.crt
verify: true
{{- end }}
{{- end -}}

{{- /* natsmith.conf.lay — in: dict under, over; lays over onto under, in place: maps merge, null removes */ -}}
{{- define "natsmith.conf.lay" -}}
{{- $under := .under -}}
{{- range $key, $value := .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $under $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $under $key)) -}}
{{- include "natsmith.conf.lay" (dict "under" (get $under $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $under $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
natsmith.conf.text — in: a map; out: nats.conf

JSON is nats.conf, but for three things: its \uXXXX, which Helm writes for <, > and &, "$include", which becomes a directive,
and the server's name, a variable.
Backslashes that stand for themselves are set aside meanwhile, so that only real escapes are replaced.
*/ -}}
{{- define "natsmith.conf.text" -}}
{{- $aside := "\u0001" -}}
{{- $text := toPrettyJson . | replace "\\\\" $aside | replace "\\u003c" "<" | replace "\\u003e" ">" | replace "\\u0026" "&" -}}
{{- if regexMatch "\\\\[ubf]" $text -}}
{{- fail "nats.config.merge or a permission holds a control character, which nats.conf cannot say: remove it" -}}
{{- end -}}
{{- regexReplaceAll "\"\\$include\": (\"[^\"]*\")" $text "include ${1}" | replace "\"server_name\": \"$SERVER_NAME\"" "\"server_name\": $SERVER_NAME" | replace $aside "\\\\" -}}
{{- end -}}

{{- /* natsmith.conf.string — in: text; out: it in quotes, as nats.conf reads them */ -}}
{{- define "natsmith.conf.string" -}}
"{{ . | replace "\\" "\\\\" | replace "\"" "\\\"" }}"
{{- end -}}
