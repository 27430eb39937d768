{{- /* natsmith.validate.drift — in: root; out: a line for each thing that keeps the CronJob from looking or healing */ -}}
{{- define "natsmith.validate.drift" -}}
{{- with .Values.drift }}
{{- if .enabled }}
{{- if not (trim .schedule) }}
drift.schedule is empty, but a CronJob has to know when it runs: write it as minute, hour, day, month and weekday, such as "*/15 * * * *"; or set drift.enabled to false
{{- end }}
{{- if and (eq .mode "heal") (eq $.Values.provisioner.mode "none") }}
drift.mode is heal, but provisioner.mode is none, which says that only you run natsmith, and a clock would undo what you change: set drift.mode to report, or provisioner.mode to hook or job
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
