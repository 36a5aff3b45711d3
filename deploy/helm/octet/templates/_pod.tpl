{{/* Parts of the pod that are longer than a line: probes, models, volumes. */}}

{{/* A probe over gRPC, or over HTTP where the kubelet cannot speak TLS. Takes {root, settings, service, path}. */}}
{{- define "octet.probe" -}}
{{- $transport := .root.Values.probes.transport -}}
{{- $http := or (eq $transport "http") (and (eq $transport "auto") (include "octet.tls" .root)) -}}
{{- if $http -}}
httpGet:
  port: {{ .root.Values.ports.metrics }}
  path: {{ .path }}
{{- else -}}
grpc:
  port: {{ .root.Values.ports.grpc }}
  service: {{ .service | quote }}
{{- end }}
{{ toYaml .settings }}
{{- end -}}

{{- define "octet.fetchModels" -}}
{{- $init := .Values.model.initContainer -}}
- name: models
  image: {{ $init.image | quote }}
  imagePullPolicy: {{ $init.pullPolicy }}
  {{- with $init.command }}
  command: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $init.args }}
  args: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $init.env }}
  env: {{- toYaml . | nindent 4 }}
  {{- end }}
  resources: {{- toYaml $init.resources | nindent 4 }}
  securityContext: {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - name: models
      mountPath: {{ .Values.model.mountPath }}
{{- end -}}

{{- define "octet.volumeMounts" -}}
- name: config
  mountPath: /etc/octet/config
  readOnly: true
{{- if ne .Values.model.source "image" }}
- name: models
  mountPath: {{ .Values.model.mountPath }}
  readOnly: true
  {{- if and (eq .Values.model.source "pvc") .Values.model.pvc.subPath }}
  subPath: {{ .Values.model.pvc.subPath }}
  {{- end }}
{{- end }}
{{- range $section := list "tls" "auth" }}
{{- $secret := get $.Values $section }}
{{- if $secret.secretName }}
- name: {{ $section }}
  mountPath: {{ $secret.mountPath }}
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "octet.volumes" -}}
- name: config
  configMap:
    name: {{ include "octet.fullname" . }}
{{- if eq .Values.model.source "pvc" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .Values.model.pvc.claimName }}
    readOnly: true
{{- else if eq .Values.model.source "initContainer" }}
- name: models
  emptyDir:
    sizeLimit: {{ .Values.model.initContainer.sizeLimit }}
{{- end }}
{{- range $section := list "tls" "auth" }}
{{- with (get $.Values $section).secretName }}
- name: {{ $section }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "octet.topologySpread" -}}
{{- range .Values.topologySpreadConstraints }}
- {{ toYaml (omit . "labelSelector") | nindent 2 | trim }}
  labelSelector:
    {{- if .labelSelector }}
    {{- toYaml .labelSelector | nindent 4 }}
    {{- else }}
    matchLabels: {{- include "octet.selectorLabels" $ | nindent 6 }}
    {{- end }}
{{- end }}
{{- end -}}
