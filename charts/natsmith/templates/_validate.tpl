{{- /* natsmith.validate — in: root; fails with everything that is wrong with the values and that a schema cannot say, each with its cure */ -}}
{{- define "natsmith.validate" -}}
{{- $problems := list -}}
{{- range list "names" "accounts" "users" "generations" "objects" "server" "merge" "ports" "deadline" "connection" "registry" "drift" "monitor" "secrets" "servers" "grow" "renamed" "size" -}}
{{- $problems = concat $problems (include (printf "natsmith.validate.%s" .) $ | splitList "\n" | compact) -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\n%s\n" (join "\n" $problems)) -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.validate.… — in: root; out: a line for each problem. Names are checked here: Helm 4 reports those of a schema at the wrong key. */ -}}
{{- define "natsmith.validate.names" -}}
{{- if and .Values.nameOverride (not .Chart.IsRoot) }}
nameOverride is {{ .Values.nameOverride }}, but inside another chart two that are named alike would take each other's pods for their own: give the dependency an alias instead
{{- end }}
{{- $full := include "natsmith.fullname" . }}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $full) }}
The objects of this release would be called {{ $full }}, which Kubernetes does not allow a Service: set fullnameOverride to a name that begins with a letter and has small letters, digits and - only
{{- end }}
{{- range $section, $what := dict "buckets" "a bucket" "objectStores" "an object store" }}
{{- range $name, $_ := include "natsmith.named" (get $.Values $section) | fromJson }}
{{- if not (regexMatch "^[A-Za-z0-9_-]+$" $name) }}
{{ $section }}.{{ $name }} has a name that NATS does not allow {{ $what }}: use letters, digits, - and _ only
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $body := include "natsmith.named" .Values.streams | fromJson }}
{{- range prepend (keys ($body.consumers | default dict) | sortAlpha) $name }}
{{- if not (regexMatch "^[^\\s.*>/\\\\\\x00-\\x1f\\x7f]+$" .) }}
streams.{{ $name }}{{ if ne . $name }}.consumers.{{ . }}{{ end }} has a name that NATS does not allow: leave out spaces, dots, *, > and slashes
{{- end }}
{{- end }}
{{- end }}
{{- range $account, $body := omit (include "natsmith.named" .Values.accounts | fromJson) "$SYS" }}
{{- range prepend (keys ($body.users | default dict) | sortAlpha) $account }}
{{- if not (regexMatch "^[A-Za-z0-9][A-Za-z0-9_-]*$" .) }}
accounts.{{ $account }}{{ if ne . $account }}.users.{{ . }}{{ end }} has a name that files cannot be called by: begin with a letter or digit, and use letters, digits, - and _ only
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.accounts" -}}
{{- if hasKey (.Values.accounts | default dict) "$SYS" }}
accounts.$SYS is the system account, which cannot have JetStream or applications: remove it here, its user is nats.systemUser
{{- end }}
{{- range $name, $body := omit (include "natsmith.named" .Values.accounts | fromJson) "$SYS" }}
{{- if and $.Values.nats.enabled (eq "{}" (include "natsmith.named" $body.users)) }}
accounts.{{ $name }} has no users, so nobody could log in: add one, such as accounts.{{ $name }}.users.{{ $name | lower }}: {}
{{- end }}
{{- if and $.Values.monitor.enabled (hasKey ($body.users | default dict) "monitor") }}
accounts.{{ $name }}.users.monitor has the name that the monitor's own user has: give its credentials under accounts.{{ $name }}.monitor, and call this user something else
{{- end }}
{{- if hasKey ($body.users | default dict) "provisioner" }}
accounts.{{ $name }}.users.provisioner has the name that the provisioner's own user has: give its credentials under accounts.{{ $name }}.provisioner, and call this user something else
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.users" -}}
{{- if .Values.nats.enabled }}
{{- $seen := dict }}
{{- $told := "" }}
{{- range include "natsmith.users" . | fromJsonArray }}
{{- $path := .path }}
{{- $given := .given }}
{{- if .newest }}
{{- $kinds := list }}
{{- range list "password" "nkey" "existingSecret" }}{{ if get $given . }}{{ $kinds = append $kinds . }}{{ end }}{{ end }}
{{- if gt (len $kinds) 1 }}
{{ $path }} has {{ join " and " $kinds }}, but a user has one kind of credentials: keep one of them
{{- end }}
{{- if and $given.nkey (not (regexMatch "^U[A-Z2-7]{55}$" $given.nkey)) }}
{{ $path }}.nkey is not the public key of a user, which is U and 55 letters and digits: a seed, which begins with S, stays with its client
{{- end }}
{{- if and $given.seedSecret (not $given.nkey) }}
{{ $path }}.seedSecret says where the seed of an nkey is, but there is no nkey: add the public key as {{ $path }}.nkey, or remove seedSecret
{{- end }}
{{- if and (has .role (list "provisioner" "monitor" "reloader")) $given.nkey (not $given.seedSecret) }}
{{ $path }}.nkey is there, but the {{ eq .role "monitor" | ternary "monitor" "Job" }} cannot log in without its seed: name the Secret that holds it, {{ $path }}.seedSecret: {name: …, key: seed}
{{- end }}
{{- if regexMatch "[\\x00-\\x1f\\x7f]" ($given.password | default "") }}
{{ $path }}.password has a line break or another control character, which files of passwords cannot hold: remove it
{{- end }}
{{- if regexMatch "^\\$2[abxy]\\$" ($given.password | default "") }}
{{ $path }}.password is a bcrypt hash, but clients need the password itself: put both into a Secret and name it as {{ $path }}.existingSecret
{{- end }}
{{- if and (eq .role "system") (eq .name "reloader") }}
{{ $path }}.name is reloader, as the user is called that asks servers to reload: give its credentials under nats.reloader, and call this user something else
{{- end }}
{{- end }}
{{- $login := .nkey | default .login }}
{{- if and .nkey (hasKey $seen $login) }}
{{ $path }}.{{ ternary "nkey" "previousNkey" .newest }} is the one of {{ get $seen $login }} too, and a server takes each nkey once: make another with `nk -gen user`
{{- else if and (hasKey $seen $login) (ne $told $path) }}
{{- $told = $path }}
{{ $path }} has the login name {{ .login }}, which {{ get $seen $login }} has too: a login name is unique over all accounts, so call one of them something else
{{- end }}
{{- $_ := set $seen $login $path }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.objects" -}}
{{- $accounts := without (include "natsmith.accounts" . | fromJson | keys | sortAlpha) "$SYS" }}
{{- range $section := list "buckets" "streams" "objectStores" }}
{{- range $name, $body := include "natsmith.named" (get $.Values $section) | fromJson }}
{{- $path := printf "%s.%s" $section $name }}
{{- if and $body.account (not (has $body.account $accounts)) }}
{{ $path }}.account is {{ $body.account }}, but the accounts are {{ join ", " $accounts }}: add it under accounts, or name one of these
{{- else if and (not $body.account) (gt (len $accounts) 1) }}
{{ $path }} says no account, but there are several: set {{ $path }}.account to one of {{ join ", " $accounts }}
{{- end }}
{{- if and $.Values.nats.enabled $body.replicas (gt (int $body.replicas) (int $.Values.nats.replicas)) }}
{{ $path }}.replicas is {{ $body.replicas }}, but there {{ ternary "is one server" (printf "are %v servers" $.Values.nats.replicas) (eq (int $.Values.nats.replicas) 1) }}: set nats.replicas to {{ ternary 3 5 (le (int $body.replicas) 3) }}, or lower {{ $path }}.replicas
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.server" -}}
{{- with .Values.nats }}
{{- if .enabled }}
{{- if and .tls.existingSecret .tls.certManager.enabled }}
nats.tls has existingSecret and certManager.enabled, but the certificate comes from one of them: empty the first or disable the second
{{- end }}
{{- if and .tls.certManager.enabled (not .tls.certManager.issuer) }}
nats.tls.certManager.enabled is true, but there is no issuer: name one as nats.tls.certManager.issuer
{{- end }}
{{- range list "verifyClients" "monitoring" }}
{{- if and (get $.Values.nats.tls .) (not (include "natsmith.tlsSecret" $)) }}
nats.tls.{{ . }} is true, but there is no certificate: name a Secret as nats.tls.existingSecret, or enable nats.tls.certManager
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.deadline" -}}
{{- with .Values.provisioner }}
{{- $attempts := add1 (int .backoffLimit) }}
{{- $lacks := sub (mul 15 $attempts) (include "natsmith.attemptsSeconds" $ | int) }}
{{- if gt $lacks 0 }}
provisioner.deadlineSeconds is {{ .deadlineSeconds }}, which leaves no 15 seconds for each of {{ $attempts }} attempts and the pauses between them: raise it to {{ add (int .deadlineSeconds) $lacks }}, or lower provisioner.backoffLimit
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.connection" -}}
{{- with .Values.provisioner.connection }}
{{- if and $.Values.nats.enabled (or .server .existingSecret .tls.existingSecret) }}
provisioner.connection is for a server that someone else runs, but nats.enabled is true: set nats.enabled to false, or empty provisioner.connection
{{- end }}
{{- if and (not $.Values.nats.enabled) (not .server) (not .existingSecret) }}
nats.enabled is false, but provisioner.connection says no server: set provisioner.connection.server, such as nats://nats.infra.svc:4222, or provisioner.connection.existingSecret
{{- end }}
{{- if and .tls.clientCertificate (not .tls.existingSecret) }}
provisioner.connection.tls.clientCertificate is true, but there is no Secret: name it as provisioner.connection.tls.existingSecret
{{- end }}
{{- end }}
{{- end -}}

{{- /* An account that the release had and the values lack: its data would stay on the disk, under a name that nobody has. */ -}}
{{- define "natsmith.validate.renamed" -}}
{{- if .Values.nats.enabled }}
{{- $before := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-desired" (include "natsmith.fullname" .)) | default dict }}
{{- $desired := get ($before.data | default dict) "desired.yaml" | default "{}" | fromYaml }}
{{- $now := include "natsmith.accounts" . | fromJson }}
{{- range $name, $_ := $desired.accounts }}
{{- if and (hasKey $now $name) (has $name $.Values.nats.forgetAccounts) }}
nats.forgetAccounts names {{ $name }}, which is there: remove it from that list, or it would let the account go unasked one day
{{- else if not (or (hasKey $now $name) (has $name $.Values.nats.forgetAccounts)) }}
accounts.{{ $name }} was in this release and is gone. An account cannot be renamed: its buckets and streams would stay behind, unseen. Keep accounts.{{ $name }}; or, to give up all that it holds, add {{ $name }} to nats.forgetAccounts
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "natsmith.validate.size" -}}
{{- $size := len (include "natsmith.desired" .) }}
{{- if gt $size 1000000 }}
buckets, streams and objectStores are {{ $size }} bytes together, but a ConfigMap holds 1000000: divide them between two releases
{{- end }}
{{- end -}}
