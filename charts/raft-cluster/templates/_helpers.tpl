{{- define "raft-cluster.name" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end -}}

{{- define "raft-cluster.labels" -}}
app.kubernetes.io/part-of: {{ include "raft-cluster.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `--set test.image.tag=1` gives a number. */}}
{{- define "raft-cluster.testImage" -}}
{{- $tag := .Values.test.image.tag -}}
{{- if not (kindIs "string" $tag) }}{{ $tag = int64 $tag | toString }}{{ end -}}
{{- printf "%s:%s" .Values.test.image.repository ($tag | default .Chart.AppVersion) -}}
{{- end -}}

{{/* Secret with the password of the user `.user` of the release `.root`. */}}
{{- define "raft-cluster.passwordSecret" -}}
{{- printf "%s-%s-password" (include "raft-cluster.name" .root) .user -}}
{{- end -}}
