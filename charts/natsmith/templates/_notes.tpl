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

{{- /* natsmith.notes.before — in: root; out: the logins of applications that work beside newer ones, empty without an overlap */ -}}
{{- define "natsmith.notes.before" -}}
{{- $before := list -}}
{{- range include "natsmith.users" . | fromJsonArray -}}
{{- if and (eq .role "application") (not .newest) }}{{ $before = append $before (ternary (printf "the nkey before of %s" .login) .login (eq .kind "nkey")) }}{{ end -}}
{{- end -}}
{{- join ", " $before -}}
{{- end -}}

{{- /* natsmith.notes.objects — in: root; out: a line for each object with how long it keeps what it has */ -}}
{{- define "natsmith.notes.objects" -}}
{{- range $name, $body := include "natsmith.named" .Values.buckets | fromJson }}
bucket {{ $name }}: {{ with $body.ttlSeconds }}entries live {{ int64 . }} s after their last write{{ else }}{{ ternary "as its profile says" "entries stay" (empty $body.profile | not) }}{{ end }}
{{- end }}
{{- range $name, $body := include "natsmith.named" .Values.streams | fromJson }}
stream {{ $name }}: {{ with $body.maxAgeSeconds }}messages live {{ int64 . }} s{{ else }}messages stay{{ end }}{{ with $body.consumers }}; consumers {{ keys . | sortAlpha | join ", " }}{{ end }}
{{- end }}
{{- range $name, $_ := include "natsmith.named" .Values.objectStores | fromJson }}
object store {{ $name }}
{{- end }}
{{- if not (or .Values.buckets .Values.streams .Values.objectStores) }}
nothing: add buckets, streams or objectStores to the values
{{- end }}
{{- end -}}

{{- /* natsmith.notes.consumers — in: root; out: JSON list of every consumer with its stream and account */ -}}
{{- define "natsmith.notes.consumers" -}}
{{- $found := list -}}
{{- $only := include "natsmith.accounts" . | fromJson | keys | first -}}
{{- range $stream, $body := include "natsmith.named" .Values.streams | fromJson -}}
{{- range $consumer, $_ := include "natsmith.named" $body.consumers | fromJson -}}
{{- $found = append $found (dict "stream" $stream "consumer" $consumer "account" ($body.account | default $only)) -}}
{{- end -}}
{{- end -}}
{{- toRawJson $found -}}
{{- end -}}
