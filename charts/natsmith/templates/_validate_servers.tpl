{{- /*
natsmith.validate.servers — in: root; out: a line for each way in which servers that are there cannot become those of the values

One server and a cluster store differently: a cluster removes what one server stored as orphans, half a minute after its start,
and one server does not load what was replicated: tests/e2e/test_overlays.py. Only servers of several have a port for routes.
*/ -}}
{{- define "natsmith.validate.servers" -}}
{{- $nats := .Values.nats }}
{{- $full := include "natsmith.fullname" . }}
{{- $before := lookup "apps/v1" "StatefulSet" .Release.Namespace $full | default dict }}
{{- if and $before.spec (not $nats.enabled) }}
{{- if not $nats.forgetAccounts }}
nats.enabled is false, but this release runs servers, which would be removed. Keep nats.enabled: true; or, to give up what they hold, name their accounts in nats.forgetAccounts
{{- end }}
{{- else }}
{{- include "natsmith.validate.servers.shape" (dict "root" . "before" $before) }}
{{- end }}
{{- include "natsmith.validate.servers.name" . }}
{{- end -}}

{{- /* natsmith.validate.servers.name — in: root; out: a line if the release's servers are called otherwise: these would begin empty beside them */ -}}
{{- define "natsmith.validate.servers.name" -}}
{{- $full := include "natsmith.fullname" . }}
{{- if and .Release.IsUpgrade .Chart.IsRoot .Values.nats.enabled }}
{{- range (lookup "apps/v1" "StatefulSet" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- if and (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) (eq (get $labels "app.kubernetes.io/component") "nats") (hasPrefix "natsmith-" (get $labels "helm.sh/chart")) (ne .metadata.name $full) }}
The servers of this release are called {{ .metadata.name }}, and would be removed for empty ones called {{ $full }}: leave nameOverride and fullnameOverride as they were, or install another release
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.servers.shape — in: dict root, before (the StatefulSet that is there); out: a line for each thing that cannot change */ -}}
{{- define "natsmith.validate.servers.shape" -}}
{{- $nats := .root.Values.nats }}
{{- $release := .root.Release }}
{{- with .before.spec }}
{{- $count := int .replicas }}
{{- $several := contains "\"routes\"" (.template.spec.containers | toJson) }}
{{- $claim := (first (.volumeClaimTemplates | default (list dict))).spec | default dict }}
{{- $elsewhere := printf "To give up what is stored, uninstall the release and delete its volumes: kubectl delete pvc -n %s -l app.kubernetes.io/instance=%s" $release.Namespace $release.Name }}
{{- if and $claim (gt (int $nats.replicas) 1) (not $several) (not $nats.grow.fromOne) }}
nats.replicas is {{ $nats.replicas }}, but this release has one server, and a cluster deletes what one server stored. Set nats.grow.fromOne: true, which brings it: "From one server to three" in docs/upgrade.md; or keep nats.replicas: 1; or install {{ $nats.replicas }} servers as another release. {{ $elsewhere }}
{{- else if and $claim (eq (int $nats.replicas) 1) $several }}
nats.replicas is 1, but this release has a cluster, and one server does not read what a cluster stored. Keep nats.replicas; or install one server as another release, and bring the data there with natsmith bring: "From three servers to one" in docs/upgrade.md. {{ $elsewhere }}
{{- else if and $claim (lt (int $nats.replicas) $count) }}
nats.replicas is {{ $nats.replicas }}, but this release has {{ $count }} servers: those that go take with them what only they have, and the others go on counting them. Keep nats.replicas: {{ $count }}; or let them go one after the other: "From five servers to three" in docs/upgrade.md. {{ $elsewhere }}
{{- end }}
{{- if ne $nats.jetstream.storage.persistent (not (empty $claim)) }}
nats.jetstream.storage.persistent is {{ $nats.jetstream.storage.persistent }}, but this release was installed with {{ not (empty $claim) }}, and Kubernetes does not let that change. Set it to {{ not (empty $claim) }}; or install another release
{{- else if $claim }}
{{- $size := $claim.resources.requests.storage }}
{{- $class := $claim.storageClassName | default "" }}
{{- if and (regexMatch "^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$" $size) (ne (include "natsmith.bytes" $size) (include "natsmith.bytes" $nats.jetstream.storage.size)) }}
nats.jetstream.storage.size is {{ $nats.jetstream.storage.size }}, but the volumes of this release were made with {{ $size }}, and Kubernetes does not let that change. Set it to {{ $size }}; or see "A larger volume" in docs/upgrade.md
{{- end }}
{{- if ne $class $nats.jetstream.storage.className }}
nats.jetstream.storage.className is {{ $nats.jetstream.storage.className | quote }}, but the volumes of this release were made with {{ $class | quote }}, and Kubernetes does not let that change. Set it to {{ $class | quote }}; or install another release
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
