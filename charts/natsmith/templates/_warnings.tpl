{{- /* natsmith.warnings — in: root; out: a line for each thing that works, and that one should know */ -}}
{{- define "natsmith.warnings" -}}
{{- if .Values.nats.enabled }}{{ include "natsmith.warnings.server" . }}{{ end -}}
{{- range $name, $body := include "natsmith.named" .Values.buckets | fromJson }}
{{- if and (gt (int $body.history) 1) (or $body.perKeyTTL (and (eq ($body.profile | default "") "serviceRegistry") (not (hasKey $body "perKeyTTL")))) }}
buckets.{{ $name }} keeps {{ $body.history }} values per key and allows keys a time to live of their own: when such a newest value expires, an older one shows again. Let its entries expire by ttlSeconds alone.
{{- end }}
{{- end }}
{{- if and .Values.monitor.enabled (not .Values.nats.enabled) }}
The monitor logs in as provisioner.connection says, with a user who may write: it does not, but only a user of its own could not. Give it a release of its own, with provisioner.mode none and the rights in SECURITY.md.
{{- end }}
{{- if and .Values.monitor.enabled (ne .Values.monitor.service.type "ClusterIP") }}
monitor.service.type is {{ .Values.monitor.service.type }}: whoever reaches it sees the page, which has no login. Put one in front: docs/monitor-access.md.
{{- end }}
{{- if and (eq .Values.provisioner.mode "hook") (ge (int .Values.provisioner.deadlineSeconds) 300) }}
provisioner.deadlineSeconds is {{ .Values.provisioner.deadlineSeconds }}: give Helm a longer --timeout than that, or the reason of a failure is lost.
{{- end }}
{{- end -}}

{{- define "natsmith.warnings.server" -}}
{{- $nats := .Values.nats }}
{{- $plain := list }}
{{- range include "natsmith.users" . | fromJsonArray }}{{ if eq .kind "password" }}{{ $plain = append $plain .path }}{{ end }}{{ end }}
{{- with uniq $plain }}
Plain passwords stand in the values of {{ join ", " . }}: they are for development. In production use nkeys or a Secret.
{{- end }}
{{- range include "natsmith.steps" . | fromJsonArray }}
{{- if and (eq .step "cut") (has .role (list "application" "system")) }}
{{- $back := lt (int .generation) (int .before) }}
{{ .path }} went {{ ternary "back " "" $back }}from generation {{ .before }} to {{ .generation }}{{ ternary "" " without an overlap" $back }}: clients that log in with {{ join " or " .lost }} are disconnected.
{{- end }}
{{- end }}
{{- if not $nats.jetstream.storage.persistent }}
nats.jetstream.storage.persistent is false: what streams and buckets hold ends with the pod.
{{- end }}
{{- if eq (int $nats.replicas) 1 }}
There is one server: while it restarts, nothing is served. For production set nats.replicas to 3, and the replicas of what must survive a node.
{{- end }}
{{- if include "natsmith.growing" . }}
nats.grow.fromOne is true: the former server runs beside the first one, and CronJobs rest. When the Job has ended well, set it to false.
{{- end }}
{{- $size := include "natsmith.bytes" $nats.jetstream.storage.size | int64 }}
{{- if ge (include "natsmith.maxFileStore" . | int64) $size }}
nats.jetstream.maxFileStore is {{ $nats.jetstream.maxFileStore }}, and the volume has {{ $nats.jetstream.storage.size }}: it can run full before the server refuses to store. Leave maxFileStore empty, or lower it.
{{- end }}
{{- with include "natsmith.goMemoryLimit" . }}
{{- if gt (include "natsmith.bytes" $nats.jetstream.memory | int64) (int64 .) }}
nats.jetstream.memory is {{ $nats.jetstream.memory }}, but the container may use {{ $nats.resources.limits.memory }}: full memory streams would end the pod.
{{- end }}
{{- end }}
{{- $memory := 0 }}
{{- $storage := 0 }}
{{- range $_, $body := include "natsmith.accounts" . | fromJson }}
{{- with $body.jetstream }}
{{- if .memory }}{{ $memory = add $memory (include "natsmith.bytes" .memory | int64) }}{{ end }}
{{- if .storage }}{{ $storage = add $storage (include "natsmith.bytes" .storage | int64) }}{{ end }}
{{- end }}
{{- end }}
{{- $full := ternary "all of them stop, reading too, when the servers are full" "not all of them can use theirs" (gt (int $nats.replicas) 1) }}
{{- $room := mul (int64 $nats.replicas) (include "natsmith.bytes" $nats.jetstream.memory | int64) }}
{{- if gt $memory $room }}
The accounts' jetstream.memory is {{ $memory }} bytes together, more than the {{ $room }} of nats.jetstream.memory on all servers: {{ $full }}.
{{- end }}
{{- $room := mul (int64 $nats.replicas) (include "natsmith.maxFileStore" . | int64) }}
{{- if gt $storage $room }}
The accounts' jetstream.storage is {{ $storage }} bytes together, more than the {{ $room }} of nats.jetstream.maxFileStore on all servers: {{ $full }}.
{{- end }}
{{- if and (not (include "natsmith.tlsSecret" .)) (or $nats.service.nodePorts.client (ne $nats.service.type "ClusterIP")) }}
Clients outside the cluster send their passwords unencrypted: name a certificate as nats.tls.existingSecret.
{{- end }}
{{- $merged := toRawJson $nats.config.merge }}
{{- if or (regexMatch "://[^/\"]*:[^/\"]*@" $merged) (regexMatch "(?i)\"(pass|password|token)\":" $merged) }}
nats.config.merge holds a password, and stands in a ConfigMap that many can read.
{{- end }}
{{- $open := list }}
{{- range include "natsmith.named" $nats.extraPorts | fromJson }}{{ $open = append $open (int .port) }}{{ end }}
{{- range $section := list "websocket" "mqtt" "leafnodes" "gateway" }}
{{- $said := get $nats.config.merge $section }}
{{- with kindIs "map" $said | ternary $said dict }}
{{- if and (hasKey . "port") (not (has (int .port) $open)) }}
nats.config.merge.{{ $section }} listens on {{ int .port }}, which no Service has: name it as nats.extraPorts.{{ $section }}: {port: {{ int .port }}}.
{{- end }}
{{- end }}
{{- end }}
{{- if get $nats.config.merge "gateway" }}
nats.config.merge.gateway joins JetStream too: with a cluster that has JetStream of its own this one becomes one, and of two objects with one name only one is left. Join clusters without it: docs/config-merge.md.
{{- end }}
{{- if $nats.service.nodePorts.monitor }}
The monitoring port is open on every node, and it asks for no password.
{{- end }}
{{- end -}}
