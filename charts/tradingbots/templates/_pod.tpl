{{/* What every pod of the platform has in common. Each define is a fragment of a pod's or container's spec. */}}

{{- define "tradingbots.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tradingbots.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "tradingbots.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Replicas on different nodes where there are several: include "tradingbots.spread" (list $ "api") */}}
{{- define "tradingbots.spread" -}}
topologySpreadConstraints:
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tradingbots.selectorLabels" . | nindent 8 }}
{{- end }}

{{/* Environment, volume and mount of the extra certificates; nothing without them. */}}
{{- define "tradingbots.caEnv" -}}
{{- if .Values.trustedCa }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/tradingbots/ca/ca.crt
{{- end }}
{{- end }}

{{- define "tradingbots.caMount" -}}
{{- if .Values.trustedCa }}
- name: trusted-ca
  mountPath: /etc/tradingbots/ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "tradingbots.caVolume" -}}
{{- if .Values.trustedCa }}
- name: trusted-ca
  configMap: { name: tradingbots-trusted-ca }
{{- end }}
{{- end }}

{{/* A projected token for one audience: include "tradingbots.tokenVolume" "vault" */}}
{{- define "tradingbots.tokenVolume" -}}
- name: {{ . }}-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          audience: {{ . }}
          path: token
          expirationSeconds: 3600
{{- end }}

{{- define "tradingbots.tokenMount" -}}
- name: {{ . }}-token
  mountPath: /var/run/secrets/tradingbots/{{ . }}
  readOnly: true
{{- end }}

{{/* Passwords of some database roles: include "tradingbots.databaseVolume" (list $ (list "api" "auth")) */}}
{{- define "tradingbots.databaseVolume" -}}
- name: database
  secret:
    secretName: {{ (index . 0).Values.database.existingSecret }}
    defaultMode: 0440
    items:
      {{- range index . 1 }}
      - key: {{ . }}-password
        path: {{ . }}-password
      {{- end }}
{{- end }}

{{- define "tradingbots.databaseMount" -}}
- name: database
  mountPath: /etc/tradingbots/database
  readOnly: true
{{- end }}

{{/* Readiness soon after the start, liveness with patience: include "tradingbots.probes" (list "http" "HTTP") */}}
{{- define "tradingbots.probes" -}}
{{- $port := index . 0 }}
{{- $scheme := index . 1 }}
readinessProbe:
  httpGet: { path: /readyz, port: {{ $port }}, scheme: {{ $scheme }} }
  periodSeconds: 3
  timeoutSeconds: 3
livenessProbe:
  httpGet: { path: /healthz, port: {{ $port }}, scheme: {{ $scheme }} }
  initialDelaySeconds: 10
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}
