{{/* Names and labels. Usage: include "tradingbots.labels" (list $ "operator") */}}

{{- define "tradingbots.selectorLabels" -}}
{{- $component := index . 1 -}}
app.kubernetes.io/name: tradingbots
app.kubernetes.io/component: {{ $component }}
{{- end }}

{{- define "tradingbots.labels" -}}
{{- $root := index . 0 -}}
{{ include "tradingbots.selectorLabels" . }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* The bucket namespaces, one a line: range (include "tradingbots.buckets" $ | splitList "\n") */}}
{{- define "tradingbots.buckets" -}}
{{- range $index := until (int .Values.buckets) }}
{{- if $index }}{{ "\n" }}{{ end }}{{ printf "tradingbots-%02d" $index }}
{{- end }}
{{- end }}

{{- define "tradingbots.jwtKeySecret" -}}
{{ .Values.api.jwtKeySecret | default "tradingbots-jwt-key" }}
{{- end }}

{{- define "tradingbots.serviceKeySecret" -}}
{{ .Values.api.serviceKeySecret | default "tradingbots-service-key" }}
{{- end }}

{{/* The database's URL for a role, without a password: include "tradingbots.databaseUrl" (list $ "tradingbots_api") */}}
{{- define "tradingbots.databaseUrl" -}}
{{- $database := (index . 0).Values.database -}}
{{ printf "postgres://%s@%s:%d/%s?sslmode=%s" (index . 1) $database.host (int $database.port) $database.name $database.sslmode }}
{{- end }}
