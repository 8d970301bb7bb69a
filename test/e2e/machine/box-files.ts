/** Configuration of the box's parts, as texts. */

export const POD_CIDR = '10.244.0.0/24'
export const DNS_ADDRESS = '10.244.0.1'
export const SERVICE_CIDR = '10.96.0.0/16'
export const API_URL = 'https://127.0.0.1:6443'
export const CONTAINERD_SOCKET = '/run/raftkv-e2e/containerd.sock'
export const NODE_NAME = 'box'
/** As namespaces.sh sets it. */
export const NODE_ADDRESS = '192.0.2.77'
export const CGROUP = 'raftkv-e2e'

/** Users by token: it saves client certificates. The cluster is reachable only inside its own network namespace. */
export const USERS = {
  admin: 'admin,admin,"system:masters"',
  'controller-manager': 'system:kube-controller-manager,kcm,""',
  scheduler: 'system:kube-scheduler,scheduler,""',
  kubelet: `system:node:${NODE_NAME},kubelet,"system:nodes"`,
} as const

export type User = keyof typeof USERS

export function tokenFile(): string {
  return Object.entries(USERS)
    .map(([user, identity]) => `${user}-token,${identity}\n`)
    .join('')
}

export function kubeconfig(user: User): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'box', cluster: { server: API_URL, 'insecure-skip-tls-verify': true } }],
    users: [{ name: user, user: { token: `${user}-token` } }],
    contexts: [{ name: 'box', context: { cluster: 'box', user } }],
    'current-context': 'box',
  })
}

/** Kubernetes compacts every five minutes; a test has less time. */
const COMPACTION_INTERVAL = '20s'

export function apiserverFlags(folder: string, storeUrls: readonly string[]): string[] {
  return [
    `--etcd-servers=${storeUrls.join(',')}`,
    `--etcd-compaction-interval=${COMPACTION_INTERVAL}`,
    `--cert-dir=${folder}/apiserver`,
    '--bind-address=0.0.0.0',
    '--secure-port=6443',
    `--advertise-address=${NODE_ADDRESS}`,
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${folder}/sa.pub`,
    `--service-account-signing-key-file=${folder}/sa.key`,
    '--authorization-mode=Node,RBAC',
    `--token-auth-file=${folder}/tokens.csv`,
    '--allow-privileged=true',
    '--kubelet-preferred-address-types=InternalIP',
  ]
}

export function containerdConfig(folder: string, pauseImage: string): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/raftkv-e2e/containerd"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`
}

export function cniConfig(): string {
  const ipam = { type: 'host-local', ranges: [[{ subnet: POD_CIDR }]], routes: [{ dst: '0.0.0.0/0' }] }
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'box',
    plugins: [
      { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, hairpinMode: true, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  })
}

/** How soon pods see what has changed in a Secret that they mount; a minute by itself. */
const SYNC_FREQUENCY = '10s'

/** Anonymous requests are let in, for `kubectl logs` and port-forward without client certificates: a test machine only. */
export function kubeletConfig(folder: string): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    syncFrequency: SYNC_FREQUENCY,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${CGROUP}`,
    failSwapOn: false,
    oomScoreAdj: 0,
    maxOpenFiles: 20000,
    makeIPTablesUtilChains: false,
    enforceNodeAllocatable: [],
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: 'cluster.local',
    resolvConf: `${folder}/resolv.conf`,
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  })
}

export function proxyConfig(folder: string): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clientConnection: { kubeconfig: `${folder}/admin.kubeconfig` },
    clusterCIDR: POD_CIDR,
    hostnameOverride: NODE_NAME,
    conntrack: { maxPerCore: 0, min: 0 },
  })
}

export function corefile(folder: string): string {
  return `.:53 {
  bind ${DNS_ADDRESS}
  errors
  kubernetes cluster.local {
    kubeconfig ${folder}/admin.kubeconfig box
    ttl 1
  }
}
`
}

export function storageClass(): string {
  return JSON.stringify({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'kubernetes.io/host-path',
    allowVolumeExpansion: true,
  })
}
