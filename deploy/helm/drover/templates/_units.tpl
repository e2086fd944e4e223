{{/* Whole seconds of a duration as drover writes it: 1m30s is 90, 500ms is 1. */}}
{{- define "drover.seconds" -}}
{{- $sum := 0.0 -}}
{{- $factors := dict "h" 3600.0 "m" 60.0 "s" 1.0 "ms" 0.001 -}}
{{- range regexFindAll "[0-9]*\\.?[0-9]+(h|ms|m|s)" (toString .) -1 -}}
{{- $sum = addf $sum (mulf (regexFind "^[0-9.]+" . | float64) (get $factors (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- ceil $sum | int64 -}}
{{- end -}}

{{/* Bytes of a size: drover's (2GiB, 512MB), Kubernetes' (4Gi, 512M) or a number. */}}
{{- define "drover.bytes" -}}
{{- if kindIs "string" . -}}
{{- $factors := dict "" 1 "b" 1 "k" 1000 "kb" 1000 "m" 1000000 "mb" 1000000 "g" 1000000000 "gb" 1000000000 "t" 1000000000000 "tb" 1000000000000 "ki" 1024 "kib" 1024 "mi" 1048576 "mib" 1048576 "gi" 1073741824 "gib" 1073741824 "ti" 1099511627776 "tib" 1099511627776 -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $factors (regexFind "[A-Za-z]*$" . | lower)) | int64 -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{/* The port of http.addr. */}}
{{- define "drover.port" -}}
{{- regexFind "[0-9]+$" .http.addr -}}
{{- end -}}

{{/* The ports of nats.url, as a JSON list; empty for an embedded server and for none. */}}
{{- define "drover.natsPorts" -}}
{{- $ports := list -}}
{{- if not (has (lower .nats.url) (list "" "none")) -}}
{{- range splitList "," .nats.url -}}
{{- $scheme := regexFind "^[a-z]+://" (trim .) -}}
{{- $rest := trimPrefix $scheme (trim .) -}}
{{- $usual := get (dict "ws://" "80" "wss://" "443") $scheme | default "4222" -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" (trimSuffix "/" $rest) | trimPrefix ":" | default $usual | int64) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* Seconds that a pod has to end: what is asked for, else preStop + drain + 10. Call with dict "root" and "config". */}}
{{- define "drover.grace" -}}
{{- $asked := .root.Values.terminationGracePeriodSeconds -}}
{{- $least := add (include "drover.seconds" .config.shutdown.timeout | int64) (.root.Values.preStopSleepSeconds | int64) -}}
{{- if kindIs "invalid" $asked -}}{{- add $least 10 -}}{{- else -}}{{- int64 $asked -}}{{- end -}}
{{- end -}}
