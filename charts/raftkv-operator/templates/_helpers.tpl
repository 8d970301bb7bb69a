{{- define "raftkv-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
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

{{/* How often the monitor `.` has Prometheus ask, and for how long it waits; Prometheus' own settings where nothing is given. */}}
{{- define "raftkv-operator.scrape" -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- end -}}

{{/*
Whose the CRD `.name` is that is there already, when it is not the release's of `.root`: Helm refuses to install over it. A release
that was uninstalled leaves it behind, and so does kubectl.
*/}}
{{- define "raftkv-operator.crdOwner" -}}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name -}}
{{- if $crd -}}
{{- $annotations := $crd.metadata.annotations | default dict -}}
{{- $owner := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if ne $owner (printf "%s/%s" .root.Release.Namespace .root.Release.Name) -}}
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
  resources: [raftclusters/status, raftbackups/status, scheduledraftbackups/status]
  verbs: [patch]
- apiGroups: [raftkv.dev]
  resources: [raftbackups]
  verbs: [get, list, watch, create, delete]
- apiGroups: [raftkv.dev]
  resources: [scheduledraftbackups]
  verbs: [get, list, watch]
# Owner references that block deletion need it where the API server enforces that.
- apiGroups: [raftkv.dev]
  resources: [raftclusters/finalizers, raftbackups/finalizers, scheduledraftbackups/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, create, delete]
# Each keeps the changes of a cluster, for a ScheduledRaftBackup.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, create, patch, delete]
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
  # Created for the first member of a cluster out of a backup: otherwise the StatefulSet's controller makes them.
  verbs: [get, list, watch, create, patch, delete]
# By name only, and no list: tokens and certificates of a cluster are made (create), read back to see what is missing or about to
# end, and to be shown to members (get), and renewed (patch). With their RaftCluster they go by themselves.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
{{- if .Values.certManager.enabled }}
# For spec.tls with mode CertManager. Listed by label, so that those that are no longer needed are found.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [list, create, patch, delete]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- end -}}
