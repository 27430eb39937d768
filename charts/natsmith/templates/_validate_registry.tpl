{{- /*
natsmith.validate.registry — in: root; out: a line for each thing that keeps the CronJob from cleaning

The bucket's name becomes part of what a user may do, so it is looked at even where somebody else makes the bucket.
*/ -}}
{{- define "natsmith.validate.registry" -}}
{{- with .Values.registry.clean }}
{{- if .enabled }}
{{- if not (trim .schedule) }}
registry.clean.schedule is empty, but a CronJob has to know when it runs: write it as minute, hour, day, month and weekday, such as "*/5 * * * *"; or set registry.clean.enabled to false
{{- end }}
{{- $accounts := without (include "natsmith.accounts" $ | fromJson | keys | sortAlpha) "$SYS" }}
{{- if and .account (not (has .account $accounts)) }}
registry.clean.account is {{ .account }}, but the accounts are {{ join ", " $accounts }}: add it under accounts, or name one of these
{{- else if and (not .account) (gt (len $accounts) 1) }}
registry.clean.account is empty, but there are several accounts: set registry.clean.account to one of {{ join ", " $accounts }}
{{- else if not (regexMatch "^[A-Za-z0-9_-]+$" .bucket) }}
registry.clean.bucket is {{ .bucket | quote }}, which cannot be the name of a bucket: write one, such as service_registry
{{- else if ne $.Values.provisioner.mode "none" }}
{{- include "natsmith.validate.registry.bucket" (dict "root" $ "account" (.account | default (first $accounts)) "bucket" .bucket) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.registry.bucket — in: dict root, account, bucket; out: a line if the account has no such bucket */ -}}
{{- define "natsmith.validate.registry.bucket" -}}
{{- $there := list }}
{{- $elsewhere := "" }}
{{- range $name, $body := include "natsmith.named" .root.Values.buckets | fromJson }}
{{- if eq ($body.account | default $.account) $.account }}{{ $there = append $there $name }}{{ else if eq $name $.bucket }}{{ $elsewhere = $body.account }}{{ end }}
{{- end }}
{{- if $elsewhere }}
registry.clean.bucket is {{ .bucket }}, which is in account {{ $elsewhere }}, and not in {{ .account }}: set registry.clean.account to {{ $elsewhere }}, or name a bucket of {{ .account }}
{{- else if not (has .bucket $there) }}
registry.clean.bucket is {{ .bucket }}, but buckets has none of that name: add buckets.{{ .bucket }}: {profile: serviceRegistry}{{ with $there }}, or name one of {{ join ", " . }}{{ end }}; where somebody else makes it, set provisioner.mode to none
{{- end }}
{{- end -}}
