{{- /* natsmith.goMemoryLimit — in: root; out: bytes at which Go collects harder, nine tenths of the container's limit; empty without one */ -}}
{{- define "natsmith.goMemoryLimit" -}}
{{- $limit := (.Values.nats.resources.limits | default dict).memory | default "" -}}
{{- $limit = kindIs "string" $limit | ternary $limit (int64 $limit | toString) -}}
{{- if regexMatch "^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$" $limit -}}
{{- div (mul 9 (include "natsmith.bytes" $limit | int64)) 10 -}}
{{- end -}}
{{- end -}}

{{- /*
natsmith.plainDigest — in: dict root, role (only users of that one; else all); out: a word that changes with the plain passwords; empty without any

scrypt, not a bare checksum: pods can be read by many, and a short password would be guessed from its sha256.
*/ -}}
{{- define "natsmith.plainDigest" -}}
{{- $plain := list -}}
{{- range include "natsmith.users" .root | fromJsonArray -}}
{{- if and (eq .kind "password") (has $.role (list nil .role)) }}{{ $plain = append $plain (list .key .password) }}{{ end -}}
{{- end -}}
{{- if $plain -}}
{{- derivePassword 1 "maximum" (toRawJson $plain | sha256sum) .root.Release.Namespace .root.Release.Name | sha256sum | trunc 12 -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.clientPeers — in: root; out: YAML list of who reaches the client port; empty: everybody */ -}}
{{- define "natsmith.clientPeers" -}}
{{- with .Values.nats.networkPolicy.clients -}}
# The release's own pods are clients too.
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ include "natsmith.name" $ | quote }}
      app.kubernetes.io/instance: {{ $.Release.Name | quote }}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- /* natsmith.extraServicePorts — in: dict root, nodes (whether they are on the nodes too); out: YAML list of the ports that nats.config.merge opens, for a Service */ -}}
{{- define "natsmith.extraServicePorts" -}}
{{- range $name, $port := include "natsmith.named" .root.Values.nats.extraPorts | fromJson }}
- name: {{ $name | quote }}
  port: {{ int $port.port }}
  targetPort: {{ $name | quote }}
  {{- if and $.nodes $port.nodePort }}
  nodePort: {{ int $port.nodePort }}
  {{- end }}
{{- end }}
{{- end -}}
