{{/* Rules of NetworkPolicies. */}}

{{/* Egress to peers at TCP ports: include "tradingbots.egress" (list peers ports); no peers stand for any address. */}}
{{- define "tradingbots.egress" -}}
- {{- with index . 0 }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- range index . 1 }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end }}

{{- define "tradingbots.ingress" -}}
- {{- with index . 0 }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- range index . 1 }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end }}

{{- define "tradingbots.egressToDns" -}}
- {{- with .Values.networkPolicies.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end }}

{{- define "tradingbots.egressToJournal" -}}
- to:
    - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ .Release.Namespace }} } }
      podSelector: { matchLabels: { app.kubernetes.io/component: journal } }
  ports:
    - { protocol: TCP, port: 8081 }
{{- end }}
