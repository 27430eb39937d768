{{- /*
natsmith.validate.servers — in: root; out: a line for each way in which servers that are there cannot become those of the values

One server and a cluster store differently: a cluster removes what one server stored as orphans, half a minute after its start,
and one server does not load what was replicated: tests/e2e/test_overlays.py. Only servers of several have a port for routes.
*/ -}}
{{- define "natsmith.validate.servers" -}}
{{- $nats := .Values.nats }}
{{- $full := include "natsmith.fullname" . }}
{{- $before := ternary (lookup "apps/v1" "StatefulSet" .Release.Namespace $full) dict $nats.enabled | default dict }}
{{- if and $before.spec $nats.jetstream.storage.persistent }}
{{- with $before.spec.volumeClaimTemplates }}
{{- $several := contains "\"routes\"" ($before.spec.template.spec.containers | toJson) }}
{{- $elsewhere := printf "To give up what is stored, uninstall the release and delete its volumes: kubectl delete pvc -n %s -l app.kubernetes.io/instance=%s" $.Release.Namespace $.Release.Name }}
{{- if and (gt (int $nats.replicas) 1) (not $several) }}
nats.replicas is {{ $nats.replicas }}, but this release has one server, and a cluster deletes what one server stored. Keep nats.replicas: 1; or install {{ $nats.replicas }} servers as another release. {{ $elsewhere }}
{{- else if and (eq (int $nats.replicas) 1) $several }}
nats.replicas is 1, but this release has a cluster, and one server does not read what a cluster stored. Keep nats.replicas; or install one server as another release. {{ $elsewhere }}
{{- end }}
{{- $size := (first .).spec.resources.requests.storage }}
{{- if and (ne $size $nats.jetstream.storage.size) (regexMatch "^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$" $size) }}
{{- if ne (include "natsmith.bytes" $size) (include "natsmith.bytes" $nats.jetstream.storage.size) }}
nats.jetstream.storage.size is {{ $nats.jetstream.storage.size }}, but the volumes of this release were made with {{ $size }}, and Kubernetes does not let that change. Set it to {{ $size }}; or install another release
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
