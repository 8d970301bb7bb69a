/** Kubernetes, etcd, CoreDNS, helm, and others for tests, built from the go.mod files in ../peers: their go.sum pins every byte. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { run, isInstalled } from '../process.ts'
import type { Report } from '../report.ts'

const KUBERNETES = 'v1.36.2'
/** Without its version the API server calls itself v0.0.0, and clients treat it as one. */
const KUBERNETES_VERSION = [
  `-X k8s.io/component-base/version.gitVersion=${KUBERNETES}`,
  '-X k8s.io/component-base/version.gitMajor=1',
  '-X k8s.io/component-base/version.gitMinor=36',
  `-X k8s.io/client-go/pkg/version.gitVersion=${KUBERNETES}`,
].join(' ')

interface Peer {
  readonly program: string
  /** Folder of go.mod below ../peers. */
  readonly module: string
  readonly goPackage: string
  /** Those of our own that it is built from. */
  readonly sources?: readonly string[]
  readonly tags?: string
  readonly linkerFlags?: string
}

const KUBE_TAGS = 'selinux,notest,grpcnotrace'
const ETCD: Peer = { program: 'etcd', module: 'etcd', goPackage: 'go.etcd.io/etcd/server/v3' }
const ETCDCTL: Peer = { program: 'etcdctl', module: 'etcd', goPackage: 'go.etcd.io/etcd/etcdctl/v3' }
const ETCDUTL: Peer = { program: 'etcdutl', module: 'etcd', goPackage: 'go.etcd.io/etcd/etcdutl/v3' }
const GOFAKES3: Peer = {
  program: 'gofakes3',
  module: 'gofakes3',
  goPackage: 'github.com/johannesboyne/gofakes3/cmd/gofakes3',
}
const H2SPEC: Peer = { program: 'h2spec', module: 'h2spec', goPackage: 'github.com/summerwind/h2spec/cmd/h2spec' }
/** Of etcd 3.6: what is newer is not published as a module. */
const BENCHMARK: Peer = {
  program: 'benchmark',
  module: 'benchmark',
  goPackage: 'go.etcd.io/etcd/v3/tools/benchmark',
}
const LOAD: Peer = {
  program: 'load',
  module: 'benchmark',
  goPackage: '.',
  sources: ['main.go', 'fan_out.go', 'keepalive.go', 'gap.go'],
}
const GRPC_INTEROP: Peer = { program: 'grpc-interop', module: 'grpc-interop', goPackage: '.' }
const KUBE: Peer = {
  program: 'kube',
  module: 'kube',
  goPackage: '.',
  tags: KUBE_TAGS,
  linkerFlags: KUBERNETES_VERSION,
}
const BOX_PEERS: readonly Peer[] = [
  ETCD,
  ETCDUTL,
  GOFAKES3,
  KUBE,
  { program: 'coredns', module: 'coredns', goPackage: '.' },
]
const CLIENT_PEERS: readonly Peer[] = [
  ETCDCTL,
  { program: 'helm', module: 'helm', goPackage: 'helm.sh/helm/v4/cmd/helm' },
]
const KUBECTL: Peer = {
  program: 'kubectl',
  module: 'kubectl',
  goPackage: 'k8s.io/kubernetes/cmd/kubectl',
  linkerFlags: KUBERNETES_VERSION,
}

/** Whose objects the chart's monitors and alerts are. */
const PROMETHEUS_OPERATOR = 'github.com/prometheus-operator/prometheus-operator'
/** Below the folder of the programs. */
export const MONITORING_CRDS = ['podmonitors', 'prometheusrules', 'servicemonitors'].map(
  (plural) => `monitoring.coreos.com_${plural}.yaml`,
)

/**
 * Builds what is not built yet and returns the folder of the programs. A given cluster needs only the clients, and uses
 * those that the machine has.
 */
export async function ensurePeers(report: Report, root: string, cache: string, isBox: boolean): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  const wanted: Peer[] = isBox ? [...BOX_PEERS, ...CLIENT_PEERS] : []
  for (const peer of isBox ? [KUBECTL] : [...CLIENT_PEERS, KUBECTL]) {
    if (!(await isInstalled(peer.program))) wanted.push(peer)
  }
  for (const peer of wanted) await build(report, root, folder, peer)
  if (isBox) await fetchMonitoringCrds(root, folder)
  return folder
}

async function fetchMonitoringCrds(root: string, folder: string): Promise<void> {
  if (MONITORING_CRDS.every((file) => existsSync(join(folder, file)))) return
  const cwd = join(root, 'test', 'e2e', 'peers', 'prometheus-operator')
  const told = await run(['go', 'mod', 'download', '-json', PROMETHEUS_OPERATOR], { cwd, env: { GOFLAGS: '' } })
  const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(told))
  for (const file of MONITORING_CRDS)
    copyFileSync(join(Dir, 'example', 'prometheus-operator-crd', file), join(folder, file))
}

/** Builds etcd alone if it is not built yet, and returns the path of the program. */
export async function ensureEtcd(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  await build(report, root, folder, ETCD)
  return join(folder, ETCD.program)
}

/** Builds kubectl where the machine has none, and returns the folder of the programs. */
export async function ensureKubectl(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  if (!(await isInstalled(KUBECTL.program))) await build(report, root, folder, KUBECTL)
  return folder
}

/** Builds etcd and its command line, and returns the folder of the programs. */
export async function ensureTwin(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  for (const peer of [ETCD, ETCDCTL]) await build(report, root, folder, peer)
  return folder
}

/** Builds what backups are tried with, and returns the folder of the programs. */
export async function ensureBackup(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  for (const peer of [ETCDCTL, GOFAKES3]) await build(report, root, folder, peer)
  return folder
}

/** Builds what moves a Kubernetes from an etcd and back, and returns the folder of the programs. */
export async function ensureMigration(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = await ensureApiServer(report, root, cache)
  for (const peer of [ETCDCTL, ETCDUTL]) await build(report, root, folder, peer)
  return folder
}

/** Builds those who know gRPC and HTTP/2, and returns their paths. */
export async function ensureGrpcClients(
  report: Pick<Report, 'step'>,
  root: string,
  cache: string,
): Promise<{ readonly h2spec: string; readonly interop: string }> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  for (const peer of [H2SPEC, GRPC_INTEROP]) await build(report, root, folder, peer)
  return { h2spec: join(folder, H2SPEC.program), interop: join(folder, GRPC_INTEROP.program) }
}

/** Builds etcd and those who put it under load, and returns the folder of the programs. */
export async function ensureBenchmark(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  for (const peer of [ETCD, BENCHMARK, LOAD]) await build(report, root, folder, peer)
  return folder
}

/** Builds what a kube-apiserver needs, and returns the folder of the programs. */
export async function ensureApiServer(report: Pick<Report, 'step'>, root: string, cache: string): Promise<string> {
  const folder = join(cache, 'bin')
  mkdirSync(folder, { recursive: true })
  for (const peer of [ETCD, KUBE]) await build(report, root, folder, peer)
  return folder
}

async function build(report: Pick<Report, 'step'>, root: string, folder: string, peer: Peer): Promise<void> {
  const source = join(root, 'test', 'e2e', 'peers', peer.module)
  const output = join(folder, peer.program)
  const stamp = `${output}.from`
  const hash = createHash('sha256').update(JSON.stringify(peer))
  for (const file of ['go.sum', ...(peer.sources ?? [])]) hash.update(readFileSync(join(source, file)))
  const from = hash.digest('hex')
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === from) return
  if (!(await isInstalled('go'))) throw new Error(`Go is needed to build ${peer.program}: no \`go\` in PATH`)
  await report.step(`build ${peer.program} (${peer.goPackage}, minutes the first time)`, async () => {
    const unfinished = `${output}.unfinished`
    const flags = [
      '-trimpath',
      '-mod=readonly',
      '-ldflags',
      `-s -w ${peer.linkerFlags ?? ''}`,
      '-tags',
      peer.tags ?? '',
    ]
    await run(['go', 'build', ...flags, '-o', unfinished, peer.goPackage], {
      cwd: source,
      env: { CGO_ENABLED: '0', GOFLAGS: '' },
      timeoutMs: 20 * 60_000,
    })
    renameSync(unfinished, output)
    writeFileSync(stamp, from)
  })
}
