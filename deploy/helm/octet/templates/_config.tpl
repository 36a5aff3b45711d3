{{/* The server's configuration file, and what the chart must know of it. */}}

{{- define "octet.config" -}}
{{- toYaml .Values.config -}}
{{- end -}}

{{/* "true" when calls are encrypted, else empty. */}}
{{- define "octet.tls" -}}
{{- if (default (dict) .Values.config.tls).certificate_file -}}true{{- end -}}
{{- end -}}

{{/* A duration as the server reads it (250, 250ms, 30s, 5m, 1h), in milliseconds. Takes {key, value}. */}}
{{- define "octet.durationMs" -}}
{{- $value := ternary (int64 .value) .value (kindIs "float64" .value) | toString -}}
{{- if not (regexMatch "^[0-9]+(ms|s|m|h)?$" $value) -}}
{{- fail (printf "%s: want a whole number with ms, s, m or h, such as 30s; got %q" .key $value) -}}
{{- end -}}
{{- $unit := dict "" 1 "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- mul (regexFind "^[0-9]+" $value | int64) (get $unit (regexFind "[a-z]*$" $value)) -}}
{{- end -}}

{{/* Milliseconds from SIGTERM until the last call is answered. Keys left out have the server's defaults: 0 and 30 s. */}}
{{- define "octet.drainMs" -}}
{{- $shutdown := default (dict) .Values.config.shutdown -}}
{{- $lameDuck := dict "key" "config.shutdown.lame_duck_ms" "value" (dig "lame_duck_ms" 0 $shutdown) -}}
{{- $drain := dict "key" "config.shutdown.drain_timeout_ms" "value" (dig "drain_timeout_ms" 30000 $shutdown) -}}
{{- add (include "octet.durationMs" $lameDuck | int64) (include "octet.durationMs" $drain | int64) -}}
{{- end -}}

{{/* Seconds until SIGKILL: 20 more than draining takes, for closing connections and ending the process. */}}
{{- define "octet.gracePeriodSeconds" -}}
{{- $drainMs := include "octet.drainMs" . | int64 -}}
{{- $grace := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $grace -}}
{{- add 20 (div (add $drainMs 999) 1000) -}}
{{- else if le (mul 1000 (int64 $grace)) $drainMs -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but config.shutdown lets draining take %d ms: the kubelet would kill the server with calls in work; raise it above that, or leave it out" (int64 $grace) $drainMs) -}}
{{- else -}}
{{- int64 $grace -}}
{{- end -}}
{{- end -}}
