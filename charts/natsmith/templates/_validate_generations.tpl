{{- /* natsmith.validate.generations — in: root; out: a line for each user whose credentials cannot be renewed as the values say */ -}}
{{- define "natsmith.validate.generations" -}}
{{- if .Values.nats.enabled }}
{{- $logins := include "natsmith.users" . | fromJsonArray }}
{{- range $logins }}
{{- $path := .path }}
{{- $given := .given }}
{{- if .newest }}
{{- range list (list "previousNkey" "nkey") (list "previousPassword" "password") }}
{{- if and (get $given (first .)) (not (get $given (last .))) }}
{{ $path }}.{{ first . }} is what the user had before {{ $path }}.{{ last . }}, which is not there: add that, or remove {{ first . }}
{{- end }}
{{- end }}
{{- if and $given.nkey (or (gt (int $given.generation) 1) (kindIs "bool" $given.overlap)) }}
{{ $path }} has nkey and {{ ternary "generation" "overlap" (gt (int $given.generation) 1) }}, but an nkey is renewed by another one: remove {{ ternary "generation" "overlap" (gt (int $given.generation) 1) }}, and name the new key as {{ $path }}.nkey, the one before as {{ $path }}.previousNkey as long as both shall work
{{- end }}
{{- if and $given.previousNkey (not (regexMatch "^U[A-Z2-7]{55}$" $given.previousNkey)) }}
{{ $path }}.previousNkey is not the public key of a user, which is U and 55 letters and digits: a seed, which begins with S, stays with its client
{{- end }}
{{- if regexMatch "[\\x00-\\x1f\\x7f]" ($given.previousPassword | default "") }}
{{ $path }}.previousPassword has a line break or another control character, which files of passwords cannot hold: remove it
{{- end }}
{{- if regexMatch "^\\$2[abxy]\\$" ($given.previousPassword | default "") }}
{{ $path }}.previousPassword is a bcrypt hash, but clients need the password itself: write that
{{- end }}
{{- else if and (eq .kind "password") (not .password) }}
{{ $path }} is at generation {{ add1 .generation }} with an overlap, but there is no password that {{ .login }} had before: add it as {{ $path }}.previousPassword, or set {{ $path }}.overlap to false
{{- end }}
{{- end }}
{{- range include "natsmith.steps" . | fromJsonArray }}
{{- if eq .step "far" }}
{{ .path }} is at generation {{ .generation }} with an overlap, so {{ sub (int .generation) 1 }} would work too; but clients of this release use {{ .before }}, and would be disconnected: change it by one, to {{ add1 (int .before) }} in all (what its own generation and credentials.generation say together)
{{- else if eq .step "gone" }}
{{ .path }} is at generation {{ .generation }}, but this release has {{ .before }}, and the password of {{ .generation }} was removed when its overlap ended. Keep generation {{ .before }} in the values; or raise it to {{ add1 (int .before) }} for a new password
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
