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

{{- /* natsmith.keysBefore — in: root; out: JSON list of the keys (see natsmith.users) that this release had: those of its servers, or after an uninstall those whose generated passwords were kept */ -}}
{{- define "natsmith.keysBefore" -}}
{{- $config := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-config" (include "natsmith.fullname" .)) | default dict -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (include "natsmith.credentialsSecret" .) | default dict -}}
{{- $keys := list -}}
{{- range regexFindAll "include \"[^\"]+\\.conf\"" (get (get $config "data" | default dict) "nats.conf" | default "") -1 -}}
{{- $keys = append $keys (base . | trimSuffix ".conf\"" | trimPrefix "include \"") -}}
{{- end -}}
{{- if not $config -}}
{{- $keys = splitList " " (get ((get $kept "metadata" | default dict).annotations | default dict) "natsmith/generated" | default "") -}}
{{- end -}}
{{- toRawJson (uniq $keys | compact) -}}
{{- end -}}

{{- /*
natsmith.steps — in: root; out: JSON list of the users whose logins are others than this release had, but for overlaps that end

Each is the newest login, with before (the highest generation that was there), lost (what clients log in with no more) and step:
next (an overlap begins), cut (the clients of lost are disconnected), and what is refused: behind (generated passwords of before would be
lost), far (an overlap with a generation that nobody uses), ended (the same, since its generated password is gone) or third (one that cuts
off clients of the overlap before).
*/ -}}
{{- define "natsmith.steps" -}}
{{- $before := include "natsmith.keysBefore" . | fromJsonArray -}}
{{- $logins := include "natsmith.users" . | fromJsonArray -}}
{{- $keys := list -}}
{{- range $logins }}{{ $keys = append $keys .key }}{{ end -}}
{{- $steps := list -}}
{{- range $logins -}}
{{- $user := .user -}}
{{- $dotted := printf "%s." .user -}}
{{- $had := list -}}
{{- $lost := list -}}
{{- range $before -}}
{{- if or (eq $user .) (hasPrefix $dotted .) -}}
{{- $number := eq $user . | ternary "1" (trimPrefix $dotted .) | int -}}
{{- $had = append $had $number -}}
{{- if not (has . $keys) }}{{ $lost = append $lost $number }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if and .newest (ne .kind "nkey") $had -}}
{{- $highest := 0 -}}
{{- range $had }}{{ $highest = max $highest . | int }}{{ end -}}
{{- $generation := int .generation -}}
{{- $last := sub $generation 1 | int -}}
{{- $step := "" -}}
{{- if lt $generation $highest -}}
{{- $step = ternary "behind" "cut" (eq .kind "generated") -}}
{{- else if not (has (ternary $user (print $dotted $last) (eq $last 1)) $keys) -}}
{{- $step = ternary "cut" "" (gt $generation $highest) -}}
{{- else if gt $generation $highest -}}
{{- $step = ternary "next" "far" (has $last $had) -}}
{{- if and (eq $step "next") $lost (ne .role "reloader") }}{{ $step = "third" }}{{ end -}}
{{- else if and (eq .kind "generated") (not (has $last $had)) -}}
{{- $step = "ended" -}}
{{- end -}}
{{- if $step -}}
{{- $steps = append $steps (merge (dict "step" $step "before" $highest "lost" (sortAlpha $lost)) .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toRawJson $steps -}}
{{- end -}}
