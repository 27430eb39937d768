{{- /*
natsmith.validate.monitor — in: root; out: a line for each thing that keeps the monitor, or what measures the server, from working

The names of its buckets become part of what its users may do: a `>` there would be every bucket.
*/ -}}
{{- define "natsmith.validate.monitor" -}}
{{- if .Values.monitor.enabled }}
{{- range $key := list "registry" "elections" }}
{{- $name := get $.Values.monitor $key }}
{{- if not (regexMatch "^[A-Za-z0-9_-]+$" $name) }}
monitor.{{ $key }} is {{ $name | quote }}, which cannot be the name of a bucket: write one, such as {{ get (dict "registry" "service_registry" "elections" "elections") $key }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.nats.enabled .Values.nats.exporter.enabled .Values.nats.tls.monitoring }}
nats.exporter.enabled is true, but nats.tls.monitoring makes the monitoring port https, which the exporter does not trust on a loopback address: disable one of them
{{- end }}
{{- if and .Values.nats.exporter.podMonitor.enabled (not (and .Values.nats.enabled .Values.nats.exporter.enabled)) }}
nats.exporter.podMonitor.enabled is true, but there is no exporter to scrape: set nats.exporter.enabled to true{{ if not .Values.nats.enabled }} where the server is installed{{ end }}, or disable this
{{- end }}
{{- end -}}
