{{- define "raftkv-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "raftkv-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of the operator's pods, as the network policies of members name them. */}}
{{- define "raftkv-operator.selectorText" -}}
app.kubernetes.io/name={{ .Chart.Name }},app.kubernetes.io/instance={{ .Release.Name }}
{{- end -}}

{{- define "raftkv-operator.labels" -}}
{{ include "raftkv-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "raftkv-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "raftkv-operator.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* `--set image.tag=1` gives a number, and a file of values one with a point. */}}
{{- define "raftkv-operator.image" -}}
{{- $tag := .Values.image.tag -}}
{{- if not (kindIs "string" $tag) }}{{ $tag = int64 $tag | toString }}{{ end -}}
{{- printf "%s:%s" .Values.image.repository ($tag | default .Chart.AppVersion) -}}
{{- end -}}

{{/*
Whose the CRD is that is there already, when it is not this release's: Helm refuses to install over it. A release that was
uninstalled leaves it behind, and so does kubectl.
*/}}
{{- define "raftkv-operator.crdOwner" -}}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "raftclusters.raftkv.dev" -}}
{{- if $crd -}}
{{- $annotations := $crd.metadata.annotations | default dict -}}
{{- $owner := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if ne $owner (printf "%s/%s" .Release.Namespace .Release.Name) -}}
{{- if eq $owner "/" }}no release{{ else }}the release {{ $owner }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a reconcile does in a namespace that holds RaftClusters, and nothing else. */}}
{{- define "raftkv-operator.rules" -}}
- apiGroups: [raftkv.dev]
  resources: [raftclusters]
  verbs: [get, list, watch, patch]
- apiGroups: [raftkv.dev]
  resources: [raftclusters/status]
  verbs: [patch]
# Owner references that block deletion need it where the API server enforces that.
- apiGroups: [raftkv.dev]
  resources: [raftclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [pods]
  # Created only to see whether one could be (dry run): the StatefulSet's controller makes them.
  verbs: [list, watch, create, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch, delete]
# By name only, so that it can list no Secret. get: the token of a cluster's admin API, and the passwords that spec.auth names;
# create and patch: that token.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- end -}}
