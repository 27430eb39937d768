{{- /*
natsmith.logins — in: dict root, users; out: JSON list with every login of each user: the newest, and with an overlap the one before

A user keeps its name and its rights, and each generation of its credentials is a login of its own: a server closes the connections
of a login whose password changes, and no other. Generation 1 is called as the user, `orders`; the next is `orders.2`, which is
nobody else's name: names have no dots. Its files are called alike, so a password never serves another login than its own.

Added to each: user (`<account>.<name>`, whichever the generation), generation, newest (true or false), nkey or password, and ours:
true for the one login that pods of ours use. That is the one before, as long as both work: the servers know it already when an
overlap begins, and know the newest when it ends.
*/ -}}
{{- define "natsmith.logins" -}}
{{- $logins := list -}}
{{- range .users -}}
{{- $user := merge (dict "user" .key) . -}}
{{- if eq .kind "nkey" -}}
{{- $logins = append $logins (merge (dict "generation" 1 "newest" true "ours" true "nkey" .given.nkey) $user) -}}
{{- if .given.previousNkey -}}
{{- /* Only the newest seed is somewhere; merge would take an empty name for none. */ -}}
{{- $logins = append $logins (merge (dict "generation" 1 "newest" false "ours" false "nkey" .given.previousNkey) (omit $user "secret")) -}}
{{- end -}}
{{- else -}}
{{- $newest := add (int $.root.Values.credentials.generation) (int (.given.generation | default 1)) -1 | int -}}
{{- $overlap := kindIs "bool" .given.overlap | ternary .given.overlap $.root.Values.credentials.overlap -}}
{{- /* Who asks for the reload logs in before the servers know another generation: always with the one before. */ -}}
{{- $reloader := eq .role "reloader" -}}
{{- if and $reloader (eq .kind "password") }}{{ $newest = 1 }}{{ end -}}
{{- $both := and (or $overlap $reloader) (gt $newest 1) -}}
{{- range ternary (list $newest (sub $newest 1)) (list $newest) $both -}}
{{- $is := eq (int .) $newest -}}
{{- $suffix := ternary "" (printf ".%d" (int .)) (eq (int .) 1) -}}
{{- $password := ternary $user.given.password $user.given.previousPassword $is | default "" -}}
{{- $login := dict "generation" (int .) "newest" $is "ours" (ne $is $both) "password" $password -}}
{{- $_ := set $login "login" (print $user.login $suffix) -}}
{{- $_ := set $login "key" (print $user.key $suffix) -}}
{{- $logins = append $logins (merge $login $user) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toRawJson $logins -}}
{{- end -}}

{{- /* natsmith.keysBefore — in: root; out: JSON list of the keys (see natsmith.users) that this release had: those of its servers, and those whose generated passwords were kept */ -}}
{{- define "natsmith.keysBefore" -}}
{{- $config := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-config" (include "natsmith.fullname" .)) | default dict -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (include "natsmith.credentialsSecret" .) | default dict -}}
{{- $keys := splitList " " (get ((get $kept "metadata" | default dict).annotations | default dict) "natsmith/generated" | default "") -}}
{{- range regexFindAll "include \"[^\"]+\\.conf\"" (get (get $config "data" | default dict) "nats.conf" | default "") -1 -}}
{{- $keys = append $keys (base . | trimSuffix ".conf\"" | trimPrefix "include \"") -}}
{{- end -}}
{{- toRawJson (uniq $keys | compact) -}}
{{- end -}}

{{- /*
natsmith.steps — in: root; out: JSON list of the users whose newest generation this release did not have, of those that it had

Each is the newest login, with before (the highest generation that was there) and step: next (the one before works too), cut (the
clients of before are disconnected), far (an overlap with a generation that nobody uses) or gone (its generated password was removed).
*/ -}}
{{- define "natsmith.steps" -}}
{{- $before := include "natsmith.keysBefore" . | fromJsonArray -}}
{{- $logins := include "natsmith.users" . | fromJsonArray -}}
{{- $keys := list -}}
{{- range $logins }}{{ $keys = append $keys .key }}{{ end -}}
{{- $steps := list -}}
{{- range $logins -}}
{{- $user := .user -}}
{{- $highest := ternary 1 0 (has $user $before) -}}
{{- range $before -}}
{{- if hasPrefix (printf "%s." $user) . }}{{ $highest = max $highest (trimPrefix (printf "%s." $user) . | int) }}{{ end -}}
{{- end -}}
{{- if and .newest (ne .kind "nkey") (gt $highest 0) (not (has .key $before)) -}}
{{- $number := sub (int .generation) 1 | int -}}
{{- $last := ternary $user (printf "%s.%d" $user $number) (eq $number 1) -}}
{{- $step := "cut" -}}
{{- if has $last $keys -}}
{{- $step = ternary "next" "far" (has $last $before) -}}
{{- else if and (eq .kind "generated") (lt (int .generation) (int $highest)) -}}
{{- $step = "gone" -}}
{{- end -}}
{{- $steps = append $steps (merge (dict "step" $step "before" $highest) .) -}}
{{- end -}}
{{- end -}}
{{- toRawJson $steps -}}
{{- end -}}
