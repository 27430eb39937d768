{{- /* natsmith.notes.kept — in: root; out: what `helm uninstall` leaves, as the rest of a sentence */ -}}
{{- define "natsmith.notes.kept" -}}
{{- $kept := list -}}
{{- if .Values.nats.enabled -}}
{{- if .Values.nats.jetstream.storage.persistent }}{{ $kept = append $kept "the volumes" }}{{ end -}}
{{- if (include "natsmith.generated" . | fromJson).generated }}{{ $kept = append $kept "the generated passwords" }}{{ end -}}
{{- with $kept -}}
; {{ join " and " . }} stay, for the next release of this name
{{- end -}}
{{- else -}}
; nothing is removed from the server
{{- end -}}
{{- end -}}
