{{/* Rules that a schema cannot say. All that are broken are named at once. */}}
{{- define "drover.rules" -}}
{{- $v := .Values -}}
{{- $c := $v.config -}}
{{- $wrong := list -}}
{{- if gt (int $v.replicas) 1 -}}
{{- if $c.cluster.node -}}
{{- $wrong = append $wrong (printf "config.cluster.node: %q would be the name of all %d nodes: leave it empty, then each has its pod's name" $c.cluster.node (int $v.replicas)) -}}
{{- end -}}
{{- if not (kindIs "invalid" $c.pool.id) -}}
{{- $wrong = append $wrong (printf "config.pool.id: %v would pin all %d nodes to one pool: leave it empty, or make a release for each pool" $c.pool.id (int $v.replicas)) -}}
{{- end -}}
{{- if has (lower $c.nats.url) (list "" "none") -}}
{{- $wrong = append $wrong (printf "config.nats.url: %q leaves %d nodes without a NATS that they share: name its servers, or write replicas: 1" $c.nats.url (int $v.replicas)) -}}
{{- end -}}
{{- end -}}
{{- if and $v.worker.enabled (has (lower (include "drover.worker.config" . | fromYaml).nats.url) (list "" "none")) -}}
{{- $wrong = append $wrong "config.nats.url: a worker needs a NATS outside of the nodes: name its servers, or write worker.enabled: false" -}}
{{- end -}}
{{- $host := regexReplaceAll ":[0-9]+$" $c.http.addr "" -}}
{{- if not (has $host (list "" "0.0.0.0" "[::]")) -}}
{{- $wrong = append $wrong (printf "config.http.addr: %q is not where the kubelet's probes arrive: leave the host out" $c.http.addr) -}}
{{- end -}}
{{- if eq (include "drover.port" $c | int) 0 -}}
{{- $wrong = append $wrong (printf "config.http.addr: %q has no fixed port for probes: write one" $c.http.addr) -}}
{{- end -}}
{{- $spool := include "drover.bytes" $c.spool.max_bytes | int64 -}}
{{- if lt (mul 2 (include "drover.bytes" $v.persistence.size | int64)) (mul 3 $spool) -}}
{{- $wrong = append $wrong (printf "persistence.size: %s does not hold a spool of %v and half as much again: make the volume larger or config.spool.max_bytes smaller" $v.persistence.size $c.spool.max_bytes) -}}
{{- end -}}
{{- if not $v.extraVolumeMounts -}}
{{- range $key, $folder := dict "nats.embedded.data_dir" $c.nats.embedded.data_dir "spool.dir" (default "/var/lib/drover" $c.spool.dir) -}}
{{- if not (hasPrefix "/var/lib/drover/" (printf "%s/" $folder)) -}}
{{- $wrong = append $wrong (printf "config.%s: %q is not in /var/lib/drover, and nothing else can be written to: put it there, or mount a volume with extraVolumeMounts" $key $folder) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $key := list "nats.creds_file" "nats.nkey_file" "nats.tls.ca_file" "nats.tls.cert_file" "nats.tls.key_file" -}}
{{- $ref := include "drover.ref" (dict "secrets" $v.secrets "key" $key) | fromYaml -}}
{{- $text := $c -}}
{{- range splitList "." $key -}}{{- $text = index $text . -}}{{- end -}}
{{- if and $ref.name $text -}}
{{- $wrong = append $wrong (printf "config.%s: %q and secrets.%s both name a file: keep one" $key $text $key) -}}
{{- end -}}
{{- end -}}
{{- range $name, $config := dict "nodes" $c "workers" (include "drover.worker.config" . | fromYaml) -}}
{{- $least := add (include "drover.seconds" $config.shutdown.timeout | int64) (int64 $v.preStopSleepSeconds) 5 -}}
{{- if lt (include "drover.grace" (dict "root" $ "config" $config) | int64) $least -}}
{{- $wrong = append $wrong (printf "terminationGracePeriodSeconds: %v is too short for %s, whose drain takes up to %s: write %d or more, or null" $v.terminationGracePeriodSeconds $name $config.shutdown.timeout $least) -}}
{{- end -}}
{{- end -}}
{{- if eq $v.goMemLimit "resources" -}}
{{- range $name, $r := dict "resources" $v.resources "worker.resources" $v.worker.resources "migrate.resources" $v.migrate.resources "consumer.resources" $v.consumer.resources "retention.resources" $v.retention.resources -}}
{{- if not (dig "limits" "memory" "" $r) -}}
{{- $wrong = append $wrong (printf "goMemLimit: resources needs %s.limits.memory: set it, or write goMemLimit: container" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.worker.enabled (not (include "drover.worker.secrets" . | fromYaml).database.url.name) -}}
{{- $wrong = append $wrong "secrets.database.url.name: there is none, and worker.enabled needs one: name the Secret with the address of PostgreSQL" -}}
{{- end -}}
{{- if and $v.migrate.enabled (not $v.secrets.database.migrate_url.name) (not $v.secrets.database.url.name) -}}
{{- $wrong = append $wrong "secrets.database.migrate_url.name: there is none, and migrate.enabled needs one: name the Secret with the owner's address of PostgreSQL" -}}
{{- end -}}
{{- if and $v.retention.enabled (not $v.secrets.database.migrate_url.name) (not $v.secrets.database.url.name) -}}
{{- $wrong = append $wrong "secrets.database.migrate_url.name: there is none, and retention.enabled needs one: name the Secret with the owner's address of PostgreSQL" -}}
{{- end -}}
{{- if $v.consumer.enabled -}}
{{- $consumer := include "drover.consumer.config" . | fromYaml -}}
{{- if has (lower $consumer.nats.url) (list "" "none") -}}
{{- $wrong = append $wrong "config.nats.url: a consumer is made on a NATS outside of the nodes: name its servers, or write consumer.enabled: false" -}}
{{- end -}}
{{- if and $consumer.nats.user (eq $consumer.nats.user $c.nats.user) -}}
{{- $wrong = append $wrong (printf "consumer.config.nats.user: %q is the nodes' user, who may not make consumers: write the operator's, and its password's Secret into consumer.secrets" $c.nats.user) -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "%d problems in the values:\n  - %s" (len $wrong) (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
