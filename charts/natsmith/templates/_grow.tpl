{{- /*
natsmith.growing — in: root; out: anything as long as one server becomes several

The store of the one is set aside as /data/former, and served from there by a server of its own, on a port that only the
provisioners can use. Where it was, a file stays for good: a rollback to one server, which no template here can refuse, does
not start then, rather than serve what it had before, or nothing.
*/ -}}
{{- define "natsmith.growing" -}}
{{- if and .Values.nats.enabled .Values.nats.grow.fromOne (gt (int .Values.nats.replicas) 1) -}}true{{- end -}}
{{- end -}}

{{- /* natsmith.grow.maxFileStore — in: root; out: bytes, half of the room as long as the former server has its own there; else nothing */ -}}
{{- define "natsmith.grow.maxFileStore" -}}
{{- if include "natsmith.growing" . -}}
{{- $half := div (mul 9 (include "natsmith.bytes" .Values.nats.jetstream.storage.size | int64)) 20 -}}
{{- min $half (include "natsmith.maxFileStore" . | int64) -}}
{{- end -}}
{{- end -}}

{{- /* natsmith.former.server — in: root; out: the host name of the first pod, where the former server is */ -}}
{{- define "natsmith.former.server" -}}
{{- $full := include "natsmith.fullname" . -}}
{{- printf "%s-0.%s-headless.%s.svc" $full $full .Release.Namespace -}}
{{- end -}}

{{- /* natsmith.former.conf — in: root; out: its nats.conf: what it stored, and nobody but the provisioners, who may only read it */ -}}
{{- define "natsmith.former.conf" -}}
{{- $made := include "natsmith.conf.made" . | fromJson -}}
{{- $conf := pick $made "tls" "max_payload" -}}
{{- $_ := set $conf "port" 4223 -}}
{{- $_ := set $conf "server_name" "former" -}}
{{- $store := kindIs "map" $made.jetstream | ternary $made.jetstream dict -}}
{{- $_ := set $conf "jetstream" (merge (dict "store_dir" "/data/former" "max_file_store" (include "natsmith.bytes" .Values.nats.jetstream.storage.size | int64)) (omit $store "domain")) -}}
{{- $accounts := dict -}}
{{- range include "natsmith.users" . | fromJsonArray -}}
{{- if eq .role "provisioner" -}}
{{- $user := eq .kind "nkey" | ternary (dict "nkey" .nkey) (dict "user" .login "$include" (printf "%s.conf" .key)) -}}
{{- $_ := set $user "permissions" (include "natsmith.former.rights" $ | fromYaml) -}}
{{- $users := (get $accounts .account | default dict).users | default list -}}
{{- $_ := set $accounts .account (dict "jetstream" "enabled" "users" (append $users $user)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $conf "accounts" $accounts -}}
{{- include "natsmith.conf.text" $conf -}}
{{- end -}}

{{- /* natsmith.former.rights — in: root; out: YAML of what a provisioner may do there: read, and change nothing */ -}}
{{- define "natsmith.former.rights" -}}
publish:
  allow:
    - $JS.API.INFO
    - $JS.API.STREAM.LIST
    - $JS.API.STREAM.INFO.*
    - $JS.API.STREAM.SNAPSHOT.*
    - $JS.API.CONSUMER.LIST.*
    # A snapshot comes in pieces, each of which it acknowledges here.
    - $JS.SNAPSHOT.ACK.>
    - $SYS.REQ.USER.INFO
subscribe:
  allow:
    - _INBOX_natsmith.>
{{- end -}}

{{- /* natsmith.former.setAside — in: root; out: YAML of the container that sets the store aside, before any server starts */ -}}
{{- define "natsmith.former.setAside" -}}
- name: set-aside
  image: {{ include "natsmith.image" (dict "image" .Values.nats.image "tag" "") | quote }}
  imagePullPolicy: {{ .Values.nats.image.pullPolicy }}
  command:
    - sh
    - -ec
    - |
      if [ -d /data/jetstream ]; then
        if [ -e /data/former ]; then
          echo "There are /data/jetstream and /data/former, both stores of one server: remove the one that is not wanted"
          exit 1
        fi
        mv /data/jetstream /data/former
      fi
      if [ ! -e /data/jetstream ]; then
        echo "This release became several servers: /data/cluster has what it stores. See docs/upgrade.md." > /data/jetstream
      fi
  resources:
    {{- toYaml .Values.nats.resources | nindent 4 }}
  securityContext:
    {{- include "natsmith.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: data
      mountPath: /data
{{- end -}}

{{- /* natsmith.former.container — in: root; out: YAML of the former server; it has something to serve in the first pod alone */ -}}
{{- define "natsmith.former.container" -}}
- name: former
  image: {{ include "natsmith.image" (dict "image" .Values.nats.image "tag" "") | quote }}
  imagePullPolicy: {{ .Values.nats.image.pullPolicy }}
  args: [--config, /etc/nats/former.conf]
  ports:
    - name: former
      containerPort: 4223
  resources:
    {{- toYaml .Values.nats.resources | nindent 4 }}
  securityContext:
    {{- include "natsmith.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: config
      mountPath: /etc/nats
      readOnly: true
    - name: data
      mountPath: /data
    {{- if include "natsmith.tlsSecret" . }}
    - name: tls
      mountPath: /etc/nats-tls
      readOnly: true
    {{- end }}
{{- end -}}

{{- /* natsmith.bringFlags — in: root; out: JSON list of the flags by which the Job brings what the former server has */ -}}
{{- define "natsmith.bringFlags" -}}
{{- $flags := list -}}
{{- if include "natsmith.growing" . -}}
{{- $flags = list "--bring" "/etc/natsmith/former.yaml" -}}
{{- range .Values.nats.grow.leave }}{{ $flags = concat $flags (list "--leave" .) }}{{ end -}}
{{- end -}}
{{- toRawJson $flags -}}
{{- end -}}

{{- /* natsmith.validate.grow — in: root; out: a line for each thing that keeps one server from becoming several */ -}}
{{- define "natsmith.validate.grow" -}}
{{- $nats := .Values.nats }}
{{- if and $nats.enabled $nats.grow.fromOne }}
{{- if eq (int $nats.replicas) 1 }}
nats.grow.fromOne is true, but nats.replicas is 1: set nats.replicas to 3 or 5, or nats.grow.fromOne to false
{{- end }}
{{- if not $nats.jetstream.storage.persistent }}
nats.grow.fromOne is true, but nats.jetstream.storage.persistent is false: what one server stored ends with its pod, and there is nothing to bring. Set nats.grow.fromOne to false
{{- end }}
{{- if eq .Values.provisioner.mode "none" }}
nats.grow.fromOne is true, but provisioner.mode is none, so that nobody brings what the former server has: set provisioner.mode to hook or job, at least for this upgrade
{{- end }}
{{- $store := get $nats.config.merge "jetstream" }}
{{- if and (kindIs "map" $store) (hasKey (kindIs "map" $store | ternary $store dict) "store_dir") }}
nats.grow.fromOne is true, but nats.config.merge.jetstream.store_dir says where servers store, and the one's store is looked for in /data/jetstream: install {{ $nats.replicas }} servers as another release, and bring it there with natsmith bring
{{- end }}
{{- else if $nats.enabled }}
{{- include "natsmith.validate.grow.ended" . }}
{{- end }}
{{- end -}}

{{- /* natsmith.validate.grow.ended — in: root; out: a line if the former server would go before what it has was brought */ -}}
{{- define "natsmith.validate.grow.ended" -}}
{{- $before := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "natsmith.fullname" .) | default dict }}
{{- if and $before.spec (contains "/etc/nats/former.conf" (toJson $before.spec)) }}
{{- $ended := false }}
{{- range (lookup "batch/v1" "Job" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- if and (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) (eq (get $labels "app.kubernetes.io/component") "provisioner") (contains "\"--bring\"" (toJson .spec)) (gt (int (.status | default dict).succeeded) 0) }}
{{- $ended = true }}
{{- end }}
{{- end }}
{{- if not $ended }}
nats.grow.fromOne is false, but no run has brought yet what the former server has, so far as its Job tells: upgrade with nats.grow.fromOne true until the Job ends well; to give up what is not brought, delete the StatefulSet first, without its pods: kubectl delete statefulset -n {{ .Release.Namespace }} {{ include "natsmith.fullname" . }} --cascade=orphan
{{- end }}
{{- end }}
{{- end -}}
