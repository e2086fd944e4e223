{{/* Names and labels. */}}
{{- define "drover.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "drover.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "drover.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "drover.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: selectors, and volumeClaimTemplates, which are immutable. Call with dict "root" and "component". */}}
{{- define "drover.selector" -}}
app.kubernetes.io/name: {{ include "drover.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Those of pods: nothing that changes with the chart's version, or each new chart would restart every node. */}}
{{- define "drover.podLabels" -}}
{{ include "drover.selector" . }}
app.kubernetes.io/part-of: drover
{{- end -}}

{{- define "drover.labels" -}}
{{ include "drover.selector" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: drover
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "drover.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "drover.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "drover.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* The worker's configuration and secrets: the node's, and over them its own. YAML, to be read with fromYaml. */}}
{{- define "drover.worker.config" -}}
{{- mustMergeOverwrite (deepCopy .Values.config) (deepCopy .Values.worker.config) | toYaml -}}
{{- end -}}
{{- define "drover.worker.secrets" -}}
{{- mustMergeOverwrite (deepCopy .Values.secrets) (deepCopy .Values.worker.secrets) | toYaml -}}
{{- end -}}

{{/* What makes the worker's consumer: the worker's, over them its own, and no prefix, since an operator is where the streams are. */}}
{{- define "drover.consumer.config" -}}
{{- $worker := include "drover.worker.config" . | fromYaml -}}
{{- $_ := set $worker.worker "api_prefix" "" -}}
{{- mustMergeOverwrite $worker (deepCopy .Values.consumer.config) | toYaml -}}
{{- end -}}
{{- define "drover.consumer.secrets" -}}
{{- mustMergeOverwrite (include "drover.worker.secrets" . | fromYaml) (deepCopy .Values.consumer.secrets) | toYaml -}}
{{- end -}}

{{/* Which secrets a component gets: no more than it needs. */}}
{{- define "drover.secretKeys.nats" -}}
nats.password nats.token nats.creds_file nats.nkey_file nats.tls.ca_file nats.tls.cert_file nats.tls.key_file
{{- end -}}
{{- define "drover.secretKeys" -}}
{{- if eq . "node" -}}
discord.token {{ include "drover.secretKeys.nats" . }}
{{- else if eq . "worker" -}}
database.url {{ include "drover.secretKeys.nats" . }}
{{- else if eq . "consumer" -}}
{{ include "drover.secretKeys.nats" . }}
{{- else -}}
database.url database.migrate_url
{{- end -}}
{{- end -}}

{{/* The reference behind one key of the configuration, as YAML. Call with dict "secrets" and "key". */}}
{{- define "drover.ref" -}}
{{- $ref := .secrets -}}
{{- range splitList "." .key -}}{{- $ref = index $ref . -}}{{- end -}}
{{- toYaml $ref -}}
{{- end -}}

{{/* The Secret with the CA of PostgreSQL, for those who connect to it; else nothing. Call with dict "root" and "component". */}}
{{- define "drover.databaseCA" -}}
{{- if has .component (list "worker" "migrate" "retention") -}}{{ .root.Values.databaseCA.name }}{{- end -}}
{{- end -}}

{{/* 1 for each secret that is a file and is set; empty: no volume is needed. Call with dict "root", "secrets" and "component". */}}
{{- define "drover.hasFiles" -}}
{{- $secrets := .secrets -}}
{{- range $key := splitList " " (include "drover.secretKeys" .component) -}}
{{- $ref := include "drover.ref" (dict "secrets" $secrets "key" $key) | fromYaml -}}
{{- if and $ref.name (hasSuffix "_file" $key) -}}1{{- end -}}
{{- end -}}
{{- if include "drover.databaseCA" . -}}1{{- end -}}
{{- end -}}

{{/* The environment of a container. Call with dict "root", "secrets", "component", "resources". */}}
{{- define "drover.env" -}}
{{- $secrets := .secrets -}}
{{- range $key := splitList " " (include "drover.secretKeys" .component) }}
{{- $ref := include "drover.ref" (dict "secrets" $secrets "key" $key) | fromYaml }}
{{- if $ref.name }}
- name: DROVER_{{ $key | replace "." "_" | upper }}
  {{- if hasSuffix "_file" $key }}
  value: /etc/drover-secrets/{{ $key }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ $ref.name }}
      key: {{ $ref.key }}
  {{- end }}
{{- end }}
{{- end }}
{{- if include "drover.databaseCA" . }}
- name: PGSSLROOTCERT
  value: /etc/drover-secrets/database.ca
{{- end }}
{{- $limit := include "drover.gomemlimit" (dict "root" .root "resources" .resources) }}
{{- if $limit }}
- name: GOMEMLIMIT
  value: {{ $limit | quote }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* GOMEMLIMIT in bytes, or nothing: then drover looks at its cgroup. 75 % is what it takes there itself. */}}
{{- define "drover.gomemlimit" -}}
{{- if eq .root.Values.goMemLimit "resources" -}}
{{- div (mul 3 (include "drover.bytes" (dig "limits" "memory" "0" .resources) | int64)) 4 -}}
{{- end -}}
{{- end -}}

{{/* Files of secrets, and where they are seen. */}}
{{- define "drover.secretVolume" -}}
{{- $secrets := .secrets -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
    {{- range $key := splitList " " (include "drover.secretKeys" .component) }}
    {{- $ref := include "drover.ref" (dict "secrets" $secrets "key" $key) | fromYaml }}
    {{- if and $ref.name (hasSuffix "_file" $key) }}
    - secret:
        name: {{ $ref.name }}
        items:
        - key: {{ $ref.key }}
          path: {{ $key }}
    {{- end }}
    {{- end }}
    {{- with include "drover.databaseCA" . }}
    - secret:
        name: {{ . }}
        items:
        - key: {{ $.root.Values.databaseCA.key }}
          path: database.ca
    {{- end }}
{{- end -}}

{{/* What Pod Security "restricted" asks for, and a root file system that is only read. */}}
{{- define "drover.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1001
runAsGroup: 1001
fsGroup: 1001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- define "drover.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 1001
runAsGroup: 1001
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* /ready is asked for readiness only: NATS or Discord being away must not restart anything. */}}
{{- define "drover.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http}
  {{- toYaml .Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /health, port: http}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /ready, port: http}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
{{- end -}}

{{- define "drover.spread" -}}
{{- $selector := include "drover.selector" . -}}
{{- range .root.Values.topologySpread }}
- topologyKey: {{ .topologyKey }}
  maxSkew: {{ .maxSkew }}
  whenUnsatisfiable: {{ .whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- $selector | nindent 6 }}
{{- end }}
{{- end -}}

{{/* What every pod template has at its end. */}}
{{- define "drover.scheduling" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "drover.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
