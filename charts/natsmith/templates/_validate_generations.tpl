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
{{- include "natsmith.validate.steps" . }}
{{- end }}
{{- end -}}

{{- /*
natsmith.validate.steps — in: root; out: a line for each step from this release's generations that would cut clients off unseen

What credentials.generation is to blame for is said once. It is to blame where the reloader makes the step, who has no generation of its own.
*/ -}}
{{- define "natsmith.validate.steps" -}}
{{- $release := .Release.Name }}
{{- $steps := include "natsmith.steps" . | fromJsonArray }}
{{- $all := dict }}
{{- range $steps }}
{{- if and (eq .role "reloader") (has .step (list "far" "behind")) }}{{ $all = . }}{{ end }}
{{- end }}
{{- if eq ($all.step | default "") "far" }}
credentials.generation is {{ $all.generation }}, but this release has {{ $all.before }}: raise it by one, to {{ add1 (int $all.before) }}, and on with further upgrades; servers are told of a generation by the login of the one before, with an overlap and without
{{- end }}
{{- $paths := dict "third" list "ended" list }}
{{- range $steps }}
{{- $mine := ne (sub (int .generation) (int .before)) (sub (int ($all.generation | default 0)) (int ($all.before | default 0))) }}
{{- if and (eq .step "far") $mine }}
{{ .path }} is at generation {{ .generation }} with an overlap, so {{ sub (int .generation) 1 }} would work too; but clients of this release use {{ .before }}, and would be disconnected: change it by one, to {{ add1 (int .before) }} in all (what its own generation and credentials.generation say together)
{{- else if and (eq .step "behind") (or $mine (eq .role "reloader")) }}
{{ ternary "credentials.generation is" (printf "%s is at generation" .path) (eq .role "reloader") }} {{ .generation }}, but this release has {{ .before }}: clients that log in with {{ .before }} would be cut off, and the password would be lost. Keep generation {{ .before }} in the values, with overlap as it was; or raise it to {{ add1 (int .before) }} for a new password. To give {{ .before }} up, go back with `helm rollback {{ $release }} REVISION`, which brings the passwords of then
{{- else if hasKey $paths .step }}
{{- $_ := set $paths .step (append (get $paths .step) .path) }}
{{- end }}
{{- end }}
{{- with $paths.third }}
{{ join ", " . }}: the generation was raised during an overlap, and clients that log in with the first of its two would be cut off. End the overlap first: the generation as it was, with overlap false; then raise it with another upgrade
{{- end }}
{{- with $paths.ended }}
{{ join ", " . }}: overlap is true, but the password of the generation before is gone, and its login would get another one, which no client has. Set overlap to false; or bring the password back with `helm rollback {{ $release }} REVISION`, to a revision that had it
{{- end }}
{{- end -}}
