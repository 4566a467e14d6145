{{- /* A key without anything below it takes away the chart's own defaults with it. */ -}}
{{- define "sluice.groups" -}}
{{- $values := .Values -}}
{{- range list "image" "cni" "cgroup" "operator" -}}
{{- if not (get $values .) -}}
{{- fail (printf "%s: nothing stands below it; leave it out, or give it what is meant" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sluice.image" -}}
{{- if regexMatch "(^|/)cilium(/|$)" .Values.image.repository -}}
{{- fail (printf "image.repository: %s is an image of the incumbent; leave it out, or name a copy of Sluice's" .Values.image.repository) -}}
{{- end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "sluice.labels" -}}
{{- include "sluice.groups" . -}}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* What the processes read: the values without what only shapes the pods. */ -}}
{{- define "sluice.options" -}}
{{- $options := deepCopy .Values -}}
{{- range list "image.repository" "image.tag" "image.pullPolicy" "cni.exclusive" "cni.binPath" "cni.confPath" "cgroup.hostRoot" "operator.resources" "operator.nodeSelector" "operator.tolerations" -}}
{{- $names := splitList "." . -}}
{{- $parent := get $options (first $names) -}}
{{- if $parent -}}
{{- $_ := unset $parent (last $names) -}}
{{- if not $parent -}}
{{- $_ := unset $options (first $names) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range list "imagePullSecrets" "resources" "nodeSelector" "tolerations" "updateStrategy" "global" -}}
{{- $_ := unset $options . -}}
{{- end -}}
{{- toYaml $options -}}
{{- end -}}
