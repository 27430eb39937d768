{{- /* natsmith.accounts — in: root; out: JSON of the accounts, the default one where none is named */ -}}
{{- define "natsmith.accounts" -}}
{{- $accounts := include "natsmith.named" .Values.accounts -}}
{{- eq $accounts "{}" | ternary `{"app": {"users": {"app": {}}}}` $accounts -}}
{{- end -}}

{{- /*
natsmith.users — in: root; out: JSON list of every user of the server, once for each of its logins: natsmith.logins says what it adds

Each has: path (its key in the values), account, key (how its files are called: `<account>.<name>`), login, role (system,
reloader, provisioner, monitor or application), kind (nkey, password, existing or generated), secret (the Secret with its files), and what was given.
*/ -}}
{{- define "natsmith.users" -}}
{{- $users := list -}}
{{- $system := .Values.nats.systemUser -}}
{{- $users = append $users (dict "path" "nats.systemUser" "account" "_SYS" "name" $system.name "login" $system.name "role" "system" "given" $system) -}}
{{- $users = append $users (dict "path" "nats.reloader" "account" "_SYS" "name" "reloader" "login" "reloader-SYS" "role" "reloader" "given" .Values.nats.reloader) -}}
{{- range $account, $body := include "natsmith.accounts" . | fromJson -}}
{{- $users = append $users (dict "path" (printf "accounts.%s.provisioner" $account) "account" $account "name" "provisioner" "login" (printf "provisioner-%s" $account) "role" "provisioner" "given" ($body.provisioner | default dict)) -}}
{{- if $.Values.monitor.enabled -}}
{{- $users = append $users (dict "path" (printf "accounts.%s.monitor" $account) "account" $account "name" "monitor" "login" (printf "monitor-%s" $account) "role" "monitor" "given" ($body.monitor | default dict)) -}}
{{- end -}}
{{- range $name, $given := include "natsmith.named" $body.users | fromJson -}}
{{- $users = append $users (dict "path" (printf "accounts.%s.users.%s" $account $name) "account" $account "name" $name "login" $name "role" "application" "given" $given) -}}
{{- end -}}
{{- end -}}
{{- range $users -}}
{{- $kind := "generated" -}}
{{- $secret := include "natsmith.credentialsSecret" $ -}}
{{- if .given.nkey -}}
{{- $kind = "nkey" -}}
{{- $secret = (.given.seedSecret | default dict).name | default "" -}}
{{- else if .given.password -}}
{{- $kind = "password" -}}
{{- else if or .given.existingSecret $.Values.credentials.existingSecret -}}
{{- $kind = "existing" -}}
{{- $secret = .given.existingSecret | default $.Values.credentials.existingSecret -}}
{{- end -}}
{{- $_ := set . "key" (printf "%s.%s" .account .name) -}}
{{- $_ := set . "kind" $kind -}}
{{- $_ := set . "secret" $secret -}}
{{- end -}}
{{- include "natsmith.logins" (dict "root" . "users" $users) -}}
{{- end -}}

{{- /* natsmith.reloaderRights — in: root; out: YAML of what the user may do that asks servers to reload: tests/live/test_reload_rights.py */ -}}
{{- define "natsmith.reloaderRights" -}}
publish:
  allow:
    - $SYS.REQ.SERVER.PING
    - $SYS.REQ.SERVER.*.RELOAD
subscribe:
  allow:
    - _INBOX_natsmith.>
{{- end -}}

{{- /* natsmith.routesSecret — in: root; out: the Secret with routes.conf, empty where one server has no routes */ -}}
{{- define "natsmith.routesSecret" -}}
{{- if gt (int .Values.nats.replicas) 1 -}}
{{- .Values.nats.cluster.existingSecret | default .Values.credentials.existingSecret | default (include "natsmith.credentialsSecret" .) -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.cleaner.account — in: root; out: the account whose registry is cleaned, empty where none is */ -}}
{{- define "natsmith.cleaner.account" -}}
{{- with .Values.registry.clean -}}
{{- if .enabled }}{{ .account | default (include "natsmith.accounts" $ | fromJson | keys | sortAlpha | first) }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /*
natsmith.provisionerRights — in: dict root, account; out: YAML of what its provisioner may do, and no more

tests/live/test_rights.py shows that it needs each; those for cleaning a registry are there for its bucket alone.
*/ -}}
{{- define "natsmith.provisionerRights" -}}
publish:
  allow:
    - $JS.API.INFO
    - $JS.API.STREAM.LIST
    - $JS.API.STREAM.INFO.*
    - $JS.API.STREAM.CREATE.*
    - $JS.API.STREAM.UPDATE.*
    - $JS.API.STREAM.DELETE.*
    - $JS.API.STREAM.PURGE.*
    - $JS.API.STREAM.MSG.GET.*
    - $JS.API.STREAM.MSG.DELETE.*
    - $JS.API.DIRECT.GET.*
    - $JS.API.DIRECT.GET.*.>
    - $JS.API.CONSUMER.LIST.*
    - $JS.API.CONSUMER.INFO.*.*
    # What a copy asks for, which is passed on, and the answer.
    - $JS.API.CONSUMER.CREATE.*
    - $JSC.R.*
    - $JS.API.CONSUMER.CREATE.*.*
    - $JS.API.CONSUMER.DELETE.*.*
    - $JS.API.CONSUMER.PAUSE.*.*
    - $JS.API.CONSUMER.RESET.*.*
    - _natsmith.park.*
    - $KV.natsmith_state.>
    - $KV.natsmith_canary.>
    - $SYS.REQ.USER.INFO
    {{- if ne .root.Values.provisioner.snapshots "none" }}
    # What natsmith backup asks for, and the pieces that it acknowledges.
    - $JS.API.STREAM.SNAPSHOT.*
    - $JS.SNAPSHOT.ACK.>
    {{- end }}
    {{- if or (include "natsmith.growing" .root) (eq .root.Values.provisioner.snapshots "restore") }}
    # What the former server has, or a backup, and its pieces.
    - $JS.API.STREAM.RESTORE.*
    - $JS.SNAPSHOT.RESTORE.*.*
    {{- end }}
    {{- if eq .account (include "natsmith.cleaner.account" .root) }}
    {{- with .root.Values.registry.clean.bucket }}
    # What it reads comes in portions, each of which it acknowledges here.
    - $JS.FC.KV_{{ . }}.>
    - $KV.{{ . }}.>
    {{- end }}
    {{- end }}
subscribe:
  allow:
    - _INBOX_natsmith.>
    - _natsmith.api.CONSUMER.CREATE.*
    - $JS.API.DIRECT.GET.*
    - $JS.API.DIRECT.GET.*.>
{{- end -}}

{{- /*
natsmith.monitorRights — in: dict root, account; out: YAML of what its monitor may do: look, and change nothing

What messages hold it may read only where the values of `monitor.showValues` say so, but for natsmith's own notes and dead letters.
*/ -}}
{{- define "natsmith.monitorRights" -}}
{{- $monitor := .root.Values.monitor -}}
publish:
  allow:
    - $JS.API.INFO
    - $JS.API.STREAM.LIST
    - $JS.API.STREAM.INFO.*
    - $JS.API.CONSUMER.LIST.*
    - $SYS.REQ.USER.INFO
    {{- range ternary (list "*") (include "natsmith.noted" . | fromJsonArray) $monitor.showValues }}
    - {{ printf "$JS.API.STREAM.MSG.GET.%s" . }}
    {{- end }}
    {{- range list $monitor.registry $monitor.elections }}
    - $JS.API.CONSUMER.CREATE.KV_{{ . }}.*
    - $JS.API.CONSUMER.DELETE.KV_{{ . }}.*
    # What it reads comes in portions, each of which it acknowledges here.
    - $JS.FC.KV_{{ . }}.>
    {{- end }}
subscribe:
  allow:
    - _INBOX_natsmith.>
    - $JS.EVENT.ADVISORY.STREAM.>
    - $JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>
    - $JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>
{{- end -}}

{{- /* natsmith.noted — in: dict root, account; out: JSON list of the account's streams that hold natsmith's notes and dead letters, which name messages and do not hold them */ -}}
{{- define "natsmith.noted" -}}
{{- $noted := list "KV_natsmith_state" -}}
{{- range $name, $body := include "natsmith.named" .root.Values.streams | fromJson -}}
{{- if has ($body.account | default "") (list "" $.account) -}}
{{- range $consumer, $given := include "natsmith.named" $body.consumers | fromJson -}}
{{- if hasKey $given "deadLetter" -}}
{{- $noted = append $noted (($given.deadLetter | default dict).stream | default (printf "%s_%s_dead" $name $consumer)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toRawJson (uniq $noted | sortAlpha) -}}
{{- end -}}
