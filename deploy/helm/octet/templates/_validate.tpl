{{/* What values.schema.json cannot say: rules between values. Each fails with what is wrong and what to do. */}}

{{- define "octet.validate" -}}
{{- include "octet.validateConfig" . -}}
{{- include "octet.validateModels" . -}}
{{- include "octet.validateReplicas" . -}}
{{- end -}}

{{- define "octet.validateConfig" -}}
{{- range $section := list "grpc" "metrics" -}}
{{- if hasKey (default (dict) (get $.Values.config $section)) "address" -}}
{{- fail (printf "config.%s.address is the chart's to set; give ports.%s" $section $section) -}}
{{- end -}}
{{- end -}}
{{- range $section, $key := dict "tls" "certificate_file" "auth" "token_file" -}}
{{- $secret := get $.Values $section -}}
{{- if and $secret.secretName (not (get (default (dict) (get $.Values.config $section)) $key)) -}}
{{- fail (printf "%s.secretName mounts a secret that the server would not read; give config.%s.%s, a file below %s" $section $section $key $secret.mountPath) -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.ports.grpc) (int .Values.ports.metrics) -}}
{{- fail (printf "ports.grpc and ports.metrics are both %d; the server needs two ports" (int .Values.ports.grpc)) -}}
{{- end -}}
{{- if and (eq .Values.probes.transport "grpc") (include "octet.tls" .) -}}
{{- fail "probes.transport is grpc, but the kubelet's gRPC probe speaks no TLS and TLS is on; use auto or http" -}}
{{- end -}}
{{- end -}}

{{/* A directory outside of the volume would be looked for in the image, where it is not. */}}
{{- define "octet.validateModels" -}}
{{- if ne .Values.model.source "image" -}}
{{- $mount := trimSuffix "/" .Values.model.mountPath -}}
{{- range .Values.config.models -}}
{{- if not (hasPrefix (print $mount "/") (print (trimSuffix "/" .directory) "/")) -}}
{{- fail (printf "config.models: directory %s of model %s is not below model.mountPath %s, where model.source %s puts the models" .directory (default "default" .name) $mount $.Values.model.source) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The fewest pods there are when all is well. */}}
{{- define "octet.minReplicas" -}}
{{- if .Values.autoscaling.enabled -}}{{- int .Values.autoscaling.minReplicas -}}
{{- else if .Values.keda.enabled -}}{{- int .Values.keda.minReplicas -}}
{{- else -}}{{- int .Values.replicaCount -}}
{{- end -}}
{{- end -}}

{{- define "octet.validateReplicas" -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- fail "autoscaling.enabled and keda.enabled are both true; two autoscalers would fight over one deployment: choose one" -}}
{{- end -}}
{{- range $scaler := list "autoscaling" "keda" -}}
{{- $values := get $.Values $scaler -}}
{{- if gt (int $values.minReplicas) (int $values.maxReplicas) -}}
{{- fail (printf "%s.minReplicas is %d, more than %s.maxReplicas, which is %d" $scaler (int $values.minReplicas) $scaler (int $values.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.targetCPUUtilizationPercentage) (not .Values.autoscaling.queue.enabled) -}}
{{- fail "autoscaling.enabled without a signal; give autoscaling.targetCPUUtilizationPercentage or enable autoscaling.queue" -}}
{{- end -}}
{{- if .Values.podDisruptionBudget.enabled -}}{{- include "octet.validateBudget" . -}}{{- end -}}
{{- end -}}

{{/* A budget that allows no eviction at all stops every node drain until somebody deletes it. */}}
{{- define "octet.validateBudget" -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $maxUnavailable := ternary "" (toString $budget.maxUnavailable) (kindIs "invalid" $budget.maxUnavailable) -}}
{{- $minAvailable := ternary "" (toString $budget.minAvailable) (kindIs "invalid" $budget.minAvailable) -}}
{{- if eq (empty $maxUnavailable) (empty $minAvailable) -}}
{{- fail (printf "podDisruptionBudget: give exactly one of maxUnavailable and minAvailable, and null for the other; got maxUnavailable %q and minAvailable %q" $maxUnavailable $minAvailable) -}}
{{- end -}}
{{- $replicas := include "octet.minReplicas" . | int -}}
{{- $keepsAll := and $minAvailable (not (hasSuffix "%" $minAvailable)) (ge (int $minAvailable) $replicas) -}}
{{- if or (has $maxUnavailable (list "0" "0%")) (eq $minAvailable "100%") $keepsAll -}}
{{- fail (printf "podDisruptionBudget keeps every one of %d pods, so that no node could be drained; raise the replicas or allow one to be unavailable" $replicas) -}}
{{- end -}}
{{- end -}}
