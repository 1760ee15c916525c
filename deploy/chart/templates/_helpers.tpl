{{- define "regcred.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Room for -uninstall. */ -}}
{{- define "regcred.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "regcred.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "regcred.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "regcred.selector" -}}
app.kubernetes.io/name: {{ include "regcred.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "regcred.labels" -}}
{{ include "regcred.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "regcred.image" -}}
{{- $repository := required "image.repository: the repository that the image was pushed to" .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- /* The entries that regcred install is given in a file, as YAML; empty if it makes them itself. */ -}}
{{- define "regcred.entries" -}}
{{- if .Values.providers }}
{{- toYaml .Values.providers }}
{{- else if eq .Values.identity "pod" }}
{{- $plugin := get (dict "aws" "ecr" "gcp" "gcr" "azure" "acr" "oracle" "ocir" "ibm" "icr") .Values.cloud }}
{{- $entry := index (.Files.Get (printf "files/%s.yaml" $plugin) | fromYaml).providers 0 }}
{{- $audience := .Values.pod.audience }}
{{- $args := list }}
{{- if eq .Values.cloud "gcp" }}
{{- $args = append $args (printf "--workload-identity-provider=%s" .Values.gcp.workloadIdentityProvider) }}
{{- $audience = $audience | default (printf "https://iam.googleapis.com/%s" .Values.gcp.workloadIdentityProvider) }}
{{- else if eq .Values.cloud "oracle" }}
{{- $args = append $args (printf "--cluster-host=%s" .Values.oracle.clusterHost) }}
{{- end }}
{{- with .Values.pod.nodeFallback }}
{{- $args = append $args (printf "--node-fallback=%s" (join "," .)) }}
{{- end }}
{{- with concat $args .Values.args }}
{{- $_ := set $entry "args" . }}
{{- end }}
{{- with .Values.env }}
{{- $_ := set $entry "env" . }}
{{- end }}
{{- with .Values.matchImages }}
{{- $_ := set $entry "matchImages" . }}
{{- end }}
{{- with $audience }}
{{- $_ := set $entry.tokenAttributes "serviceAccountTokenAudience" . }}
{{- end }}
{{- toYaml (list $entry) }}
{{- end }}
{{- end }}

{{- /* What regcred install reads, without the key that has it. */ -}}
{{- define "regcred.file" -}}
{{- with include "regcred.entries" . -}}
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
{{ . }}
{{- end }}
{{- end }}

{{- /* The audiences of the entries, as a list. */ -}}
{{- define "regcred.audiences" -}}
{{- $audiences := list }}
{{- range include "regcred.entries" . | fromYamlArray }}
{{- with .tokenAttributes }}
{{- $audiences = append $audiences .serviceAccountTokenAudience }}
{{- end }}
{{- end }}
{{- with $audiences }}
{{- toYaml (uniq .) }}
{{- end }}
{{- end }}

{{- define "regcred.installArgs" -}}
- install
- --root=/host
- --from=/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec
{{- if .Values.install.restart }}
- --restart
- --timeout={{ .Values.install.timeout }}
{{- end }}
{{- range $flag := list "platform" "binDir" "config" }}
{{- with get $.Values.install $flag }}
- {{ printf "--%s=%s" (kebabcase $flag) . | quote }}
{{- end }}
{{- end }}
{{- if include "regcred.entries" . }}
- --providers-from=/etc/regcred/providers.yaml
{{- else }}
{{- with .Values.cloud }}
- --cloud={{ . }}
{{- end }}
{{- with .Values.matchImages }}
- {{ printf "--match-images=%s" (join "," .) | quote }}
{{- end }}
{{- range .Values.args }}
- {{ printf "--arg=%s" . | quote }}
{{- end }}
{{- range .Values.env }}
- {{ printf "--env=%s=%s" .name .value | quote }}
{{- end }}
{{- end }}
{{- range .Values.install.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "regcred.uninstallArgs" -}}
- uninstall
- --root=/host
{{- if .Values.install.restart }}
- --restart
- --timeout={{ .Values.install.timeout }}
{{- end }}
{{- end }}

{{- /* A container without any privilege. */ -}}
{{- define "regcred.unprivileged" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* The pod that does something to its node, and then sleeps. uninstall says what. */ -}}
{{- define "regcred.podSpec" -}}
{{- $file := and (not .uninstall) (include "regcred.entries" .) }}
{{- $metrics := and (not .uninstall) .Values.metrics.enabled -}}
serviceAccountName: {{ include "regcred.fullname" . }}
automountServiceAccountToken: false
enableServiceLinks: false
# The network plugin may be what waits for a credential; and the kubelet says at
# 127.0.0.1 whether it is back.
hostNetwork: true
dnsPolicy: Default
# A run that is stopped is taken back, for which it has as long as the kubelet.
terminationGracePeriodSeconds: 180
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end }}
nodeSelector:
  kubernetes.io/os: linux
{{- with .Values.nodeSelector }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
initContainers:
- name: {{ ternary "uninstall" "install" .uninstall }}
  image: {{ include "regcred.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [/usr/bin/regcred]
  args:
  {{- include (ternary "regcred.uninstallArgs" "regcred.installArgs" .uninstall) . | nindent 2 }}
  securityContext:
  {{- toYaml .Values.install.securityContext | nindent 4 }}
  resources:
  {{- toYaml .Values.install.resources | nindent 4 }}
  # What failed is in kubectl describe too.
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  - name: host
    mountPath: /host
  {{- if $file }}
  - name: providers
    mountPath: /etc/regcred
    readOnly: true
  {{- end }}
containers:
{{- if $metrics }}
- name: status
  image: {{ include "regcred.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [/usr/bin/regcred]
  args: [status, --root=/host, --every={{ .Values.metrics.interval }}, --textfile=/textfile/regcred.prom]
  # Files of root's, and of the kubelet's process in /proc, are root's to read.
  securityContext:
    privileged: false
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    runAsUser: 0
    runAsGroup: 0
    capabilities: {drop: [ALL], add: [DAC_READ_SEARCH, SYS_PTRACE]}
    seccompProfile: {type: RuntimeDefault}
  resources:
  {{- toYaml .Values.resources | nindent 4 }}
  volumeMounts:
  - name: host
    mountPath: /host
    readOnly: true
  - name: textfile
    mountPath: /textfile
{{- else }}
- name: sleep
  image: {{ include "regcred.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [/usr/bin/regcred]
  args: [wait]
  securityContext:
  {{- include "regcred.unprivileged" . | nindent 4 }}
  resources:
  {{- toYaml .Values.resources | nindent 4 }}
{{- end }}
volumes:
- name: host
  hostPath: {path: {{ .Values.hostRoot | quote }}, type: Directory}
{{- if $file }}
- name: providers
  configMap: {name: {{ include "regcred.fullname" . }}}
{{- end }}
{{- if $metrics }}
- name: textfile
  hostPath: {path: {{ .Values.metrics.directory | quote }}, type: Directory}
{{- end }}
{{- end }}
