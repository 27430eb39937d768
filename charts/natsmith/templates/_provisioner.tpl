{{- /* natsmith.provisionerPod.metadata — in: dict root, component, annotations; out: YAML of the metadata of a pod of natsmith's */ -}}
{{- define "natsmith.provisionerPod.metadata" -}}
labels:
  {{- merge (include "natsmith.labels" . | fromYaml) .root.Values.provisioner.podLabels | toYaml | nindent 2 }}
{{- with merge dict (.annotations | default dict) .root.Values.provisioner.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* natsmith.provisionerPod.spec — in: dict root, component, roles, account (the only one it serves; else all); out: YAML of its spec, but for its containers */ -}}
{{- define "natsmith.provisionerPod.spec" -}}
serviceAccountName: {{ include "natsmith.fullname" .root }}-provisioner
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "natsmith.podSecurity" . | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.provisioner.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.provisioner.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: natsmith
    projected:
      defaultMode: 0440
      sources:
        {{- include "natsmith.provisionerFiles" . | trim | nindent 8 }}
  - name: tmp
    emptyDir: {}
{{- end -}}

{{- /* natsmith.provisionerFiles — in: dict root, roles, account; out: YAML list of what is under /etc/natsmith */ -}}
{{- define "natsmith.provisionerFiles" -}}
- configMap:
    name: {{ include "natsmith.fullname" .root }}-desired
{{- if .root.Values.nats.enabled }}
{{- include "natsmith.clientSecrets" . }}
{{- with include "natsmith.tlsSecret" .root }}
- secret:
    name: {{ . | quote }}
    items:
      {{- include "natsmith.tlsItems" $.root.Values.nats.tls.verifyClients | nindent 6 }}
{{- end }}
{{- else }}
{{- with .root.Values.provisioner.connection }}
{{- with .existingSecret }}
- secret:
    name: {{ . | quote }}
{{- end }}
{{- with .tls.existingSecret }}
- secret:
    name: {{ . | quote }}
    items:
      {{- include "natsmith.tlsItems" $.root.Values.provisioner.connection.tls.clientCertificate | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* natsmith.tlsItems — in: whether a certificate of ours is shown; out: YAML list of items */ -}}
{{- define "natsmith.tlsItems" -}}
{{- range ternary (list "ca.crt" "tls.crt" "tls.key") (list "ca.crt") . }}
- {key: {{ . }}, path: tls/{{ . }}}
{{- end }}
{{- end -}}

{{- /* natsmith.provisionerContainer — in: dict root, connections (a file of natsmith.provisionerFiles), resources; out: YAML of a container of natsmith's, but for its name and arguments */ -}}
{{- define "natsmith.provisionerContainer" -}}
{{- $job := .root.Values.provisioner -}}
image: {{ include "natsmith.image" (dict "image" $job.image "tag" .root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $job.image.pullPolicy }}
env:
  - name: NATSMITH_CONNECTIONS
    value: /etc/natsmith/{{ .connections | default "connections.yaml" }}
resources:
  {{- .resources | default $job.resources | toYaml | nindent 2 }}
securityContext:
  {{- include "natsmith.containerSecurity" . | nindent 2 }}
volumeMounts:
  - name: natsmith
    mountPath: /etc/natsmith
    readOnly: true
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{- /* natsmith.connectionFlags — in: root; out: JSON list of the flags that say more than connections.yaml: those of a server someone else runs */ -}}
{{- define "natsmith.connectionFlags" -}}
{{- $flags := list -}}
{{- if not .Values.nats.enabled -}}
{{- with .Values.provisioner.connection -}}
{{- if and .server .existingSecret }}{{ $flags = concat $flags (list "--server" .server) }}{{ end -}}
{{- if .tls.existingSecret -}}
{{- $flags = concat $flags (list "--tls-ca" "/etc/natsmith/tls/ca.crt") -}}
{{- if .tls.clientCertificate }}{{ $flags = concat $flags (list "--tls-cert" "/etc/natsmith/tls/tls.crt" "--tls-key" "/etc/natsmith/tls/tls.key") }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toRawJson $flags -}}
{{- end -}}

{{- /*
natsmith.attemptsSeconds — in: root; out: how long all attempts of the Job may take together

What the deadline leaves when a pod takes half a minute to start, and Kubernetes waits 10, 20, 40 seconds and so on between attempts.
*/ -}}
{{- define "natsmith.attemptsSeconds" -}}
{{- $left := sub (int .Values.provisioner.deadlineSeconds) 30 -}}
{{- $between := 10 -}}
{{- range until (int .Values.provisioner.backoffLimit) -}}
{{- $left = sub $left $between -}}
{{- $between = min (mul 2 $between) 360 -}}
{{- end -}}
{{- $left -}}
{{- end -}}

{{- /*
natsmith.reloadFlags — in: root; out: JSON list of the flags by which the Job has the servers load what changed; none where someone else runs them

Two thirds of what all attempts may take, 120 seconds: the kubelet brings a changed file within 60 to 90, and who was too early for it has another attempt.
*/ -}}
{{- define "natsmith.reloadFlags" -}}
{{- $flags := list -}}
{{- if .Values.nats.enabled -}}
{{- $flags = list "--reload" "/etc/natsmith/reloader.yaml" "--reload-expect" (include "natsmith.conf.tag" .) "--reload-servers" (toString .Values.nats.replicas) "--reload-within" (div (mul 2 (include "natsmith.attemptsSeconds" . | int | max 2)) 3 | toString) -}}
{{- end -}}
{{- toRawJson $flags -}}
{{- end -}}

{{- /*
natsmith.jobSpec — in: root; out: YAML of the Job

Each attempt ends by itself, with its reason, before Kubernetes ends the Job: an ended pod takes its log with it.
*/ -}}
{{- define "natsmith.jobSpec" -}}
{{- $job := .Values.provisioner -}}
{{- $pod := dict "root" . "component" "provisioner" "roles" (list "provisioner" "reloader") -}}
{{- $flags := concat (list "apply" "-f" "/etc/natsmith/desired.yaml" "--timeout" (div (include "natsmith.attemptsSeconds" . | int) (add1 (int $job.backoffLimit)) | toString) "--within" (include "natsmith.attemptsSeconds" . | int | max 1 | toString) "--outcome" "/dev/termination-log") (include "natsmith.reloadFlags" . | fromJsonArray) (include "natsmith.bringFlags" . | fromJsonArray) (include "natsmith.connectionFlags" . | fromJsonArray) -}}
backoffLimit: {{ $job.backoffLimit }}
activeDeadlineSeconds: {{ $job.deadlineSeconds }}
podFailurePolicy:
  rules:
    # Wrong values (2) and missing decisions (3) do not mend themselves.
    - action: FailJob
      onExitCodes: {containerName: natsmith, operator: In, values: [2, 3]}
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
template:
  metadata:
    {{- include "natsmith.provisionerPod.metadata" $pod | nindent 4 }}
  spec:
    {{- include "natsmith.provisionerPod.spec" $pod | nindent 4 }}
    restartPolicy: Never
    containers:
      - name: natsmith
        command: [natsmith]
        args: {{ toRawJson $flags }}
        {{- include "natsmith.provisionerContainer" (dict "root" .) | nindent 8 }}
        # The outcome as one line of JSON: kubectl get pod -o jsonpath='{..terminated.message}'
        terminationMessagePath: /dev/termination-log
        terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{- /* natsmith.emptied — in: root; out: what restarts servers that forget everything when they restart, so that the Job runs again; else nothing */ -}}
{{- define "natsmith.emptied" -}}
{{- if and .Values.nats.enabled (not .Values.nats.jetstream.storage.persistent) -}}
{{- list (include "natsmith.conf.lasting" .) (toJson (omit .Values.nats "config")) | join "\n" -}}
{{- end -}}
{{- end -}}

{{- /*
natsmith.cronJob — in: dict root, component, roles, account, schedule, deadlineSeconds, resources, connections, args; out: a CronJob that runs natsmith

Runs never meet; one that fails is not repeated, since the next one comes, and its pod says why.
*/ -}}
{{- define "natsmith.cronJob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "natsmith.cronJob.fullname" . }}
  labels:
    {{- include "natsmith.labels" . | nindent 4 }}
spec:
  schedule: {{ .schedule | quote }}
  {{- if include "natsmith.growing" .root }}
  # What was not brought yet would be made empty.
  suspend: true
  {{- end }}
  concurrencyPolicy: Forbid
  # A run that could not begin in time is left to the next one; more than 100 such would end the schedule.
  startingDeadlineSeconds: 60
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    metadata:
      labels:
        {{- include "natsmith.labels" . | nindent 8 }}
    spec:
      # The next run is the next attempt.
      backoffLimit: 0
      activeDeadlineSeconds: {{ .deadlineSeconds }}
      podFailurePolicy:
        rules:
          - action: Ignore
            onPodConditions: [{type: DisruptionTarget, status: "True"}]
      template:
        metadata:
          {{- include "natsmith.provisionerPod.metadata" . | nindent 10 }}
        spec:
          {{- include "natsmith.provisionerPod.spec" . | nindent 10 }}
          restartPolicy: Never
          containers:
            - name: natsmith
              command: [natsmith]
              args: {{ concat .args (include "natsmith.connectionFlags" .root | fromJsonArray) | toRawJson }}
              {{- include "natsmith.provisionerContainer" . | nindent 14 }}
              terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}
