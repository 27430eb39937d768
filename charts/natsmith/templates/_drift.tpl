{{- /*
natsmith.drift.… — in: root; out: JSON list of what natsmith is told when it reports, and when it heals

A pod takes up to half a minute to start. Half of the rest may go by until the server answers, or until the Job lets go of its lock.
*/ -}}
{{- define "natsmith.drift.report" -}}
{{- list "plan" "--check" "-f" "/etc/natsmith/desired.yaml" "--timeout" (include "natsmith.drift.patience" .) | toRawJson -}}
{{- end -}}

{{- define "natsmith.drift.heal" -}}
{{- $within := sub (int .Values.drift.deadlineSeconds) 30 | toString -}}
{{- $flags := list "apply" "-f" "/etc/natsmith/desired.yaml" "--timeout" (include "natsmith.drift.patience" .) "--within" $within -}}
{{- /* Nobody looks at the plan of a clock, so it has no consents, and what `allow` allows is for a person's upgrade. */}}
{{- $flags = concat $flags (list "--set" "provisioner.consent=null" "--set" (printf "provisioner.loss=%s" (ternary "refuse" "expire" (eq .Values.provisioner.loss "refuse")))) -}}
{{- toRawJson $flags -}}
{{- end -}}

{{- /* natsmith.drift.patience — in: root; out: seconds that a run waits for the server, and for the lock */ -}}
{{- define "natsmith.drift.patience" -}}
{{- div (sub (int .Values.drift.deadlineSeconds) 30) 2 -}}
{{- end -}}
