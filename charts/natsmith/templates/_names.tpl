{{- /* natsmith.name — in: root; out: the chart's name, or its alias in a parent chart */ -}}
{{- define "natsmith.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /*
natsmith.fullname — in: root; out: what every object's name begins with, at most 51 (51 + "-provisioner" = 63)

Always release and chart, never the release alone: release `a` would own `a-headless`, and so would a release `a-headless`.
A longer name ends in a hash, so that two long names that begin alike stay apart.
*/ -}}
{{- define "natsmith.fullname" -}}
{{- $name := include "natsmith.name" . -}}
{{- $full := .Values.fullnameOverride | default (ternary $name (printf "%s-%s" .Release.Name $name) (eq .Release.Name $name)) -}}
{{- if gt (len $full) 51 -}}
{{- printf "%s-%s" ($full | trunc 45 | trimSuffix "-") (sha256sum $full | trunc 5) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.cronJob.fullname — in: dict root, component; out: the name of a CronJob, at most 52: a Job's name has 11 more. A longer one ends in a hash, as above. */ -}}
{{- define "natsmith.cronJob.fullname" -}}
{{- $full := include "natsmith.fullname" .root -}}
{{- $room := sub 51 (len .component) | int -}}
{{- if gt (len $full) $room -}}
{{- $full = printf "%s-%s" ($full | trunc (sub $room 6 | int) | trimSuffix "-") (sha256sum $full | trunc 5) -}}
{{- end -}}
{{- printf "%s-%s" $full .component -}}
{{- end -}}

{{- /* natsmith.selector — in: dict root, component; out: the labels that find the pods of a component, which never change */ -}}
{{- define "natsmith.selector" -}}
app.kubernetes.io/name: {{ include "natsmith.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* natsmith.labels — in: dict root, component; out: the labels of an object; ours win over commonLabels */ -}}
{{- define "natsmith.labels" -}}
{{- $ours := include "natsmith.selector" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- merge $ours .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{- /* natsmith.image — in: dict image, tag; out: the image with its digest, or its tag */ -}}
{{- define "natsmith.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.named — in: a map by name; out: JSON of it without the names that an overlay set to null */ -}}
{{- define "natsmith.named" -}}
{{- $named := dict -}}
{{- range $name, $body := kindIs "map" . | ternary . dict }}{{ if not (kindIs "invalid" $body) }}{{ $_ := set $named $name $body }}{{ end }}{{ end -}}
{{- toRawJson $named -}}
{{- end -}}

{{- /* natsmith.bytes — in: a size such as 512, 5Gi or 2G; out: its number of bytes */ -}}
{{- define "natsmith.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[A-Za-z]*$" .)) -}}
{{- end -}}

{{- /* natsmith.server — in: root; out: the host name of the Service that clients use */ -}}
{{- define "natsmith.server" -}}
{{- printf "%s.%s.svc" (include "natsmith.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- /* natsmith.tlsSecret — in: root; out: the Secret with the server's certificate, empty without TLS */ -}}
{{- define "natsmith.tlsSecret" -}}
{{- with .Values.nats.tls -}}
{{- .existingSecret | default (ternary (printf "%s-tls" (include "natsmith.fullname" $)) "" .certManager.enabled) -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.scheme — in: root; out: how addresses of the server begin */ -}}
{{- define "natsmith.scheme" -}}
{{- ternary "nats" "tls" (include "natsmith.tlsSecret" . | empty) -}}
{{- end -}}

{{- /* natsmith.credentialsSecret — in: root; out: the Secret with what this release generates */ -}}
{{- define "natsmith.credentialsSecret" -}}
{{- printf "%s-credentials" (include "natsmith.fullname" .) -}}
{{- end -}}

{{- /* natsmith.podSecurity — what a pod needs to pass the restricted Pod Security Standard */ -}}
{{- define "natsmith.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* natsmith.containerSecurity — the same for a container */ -}}
{{- define "natsmith.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
