/** The real kube-apiserver on an etcd of its own, and the control loops of kube-controller-manager, on free ports of this machine. */
import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Target } from './case.ts'
import { httpTarget, untilServed } from './http-target.ts'
import { textAt } from './objects.ts'

const TOKENS = { admin: 'conformance', reader: 'conformance-reader' }
const START_MS = 60_000
/** Those that the sandbox has loops for. */
const CONTROLLERS = [
  'statefulset-controller',
  'disruption-controller',
  'garbage-collector-controller',
  'namespace-controller',
  'endpointslice-controller',
  'persistentvolumeclaim-protection-controller',
]

/** `programs` holds etcd, and kube, which has kube-apiserver in it. */
export async function startReal(programs: string): Promise<Target> {
  const [client, peer] = await freePorts()
  const store = new Programs(programs)
  store.start('etcd', 'etcd', etcdFlags(store.folder, client, peer))
  try {
    return await startKubernetes(programs, client, () => store.close())
  } catch (error) {
    await store.close()
    throw error
  }
}

/** On a store that serves etcd's API without TLS on that port of this machine; `alsoClose` goes with it. */
export async function startKubernetes(
  programs: string,
  etcdPort: number,
  alsoClose: () => Promise<void> = () => Promise.resolve(),
): Promise<Target> {
  const [secure] = await freePorts()
  const started = new Programs(programs)
  const { folder } = started
  started.start('kube-apiserver', 'kube', ['kube-apiserver', ...apiServerFlags(folder, etcdPort, secure)])
  const url = `https://127.0.0.1:${secure}`
  const startControllers = async (): Promise<void> =>
    Promise.resolve(
      started.start('kube-controller-manager', 'kube', ['kube-controller-manager', ...managerFlags(folder, url)]),
    )
  const target = httpTarget({
    name: 'kube-apiserver',
    url,
    tokens: TOKENS,
    forget: () => compact(`http://127.0.0.1:${etcdPort}`),
    startControllers,
    close: async () => {
      await started.close()
      await alsoClose()
    },
  })
  try {
    await untilUp(target, join(folder, 'kube-apiserver.log'))
    return target
  } catch (error) {
    await started.close()
    throw error
  }
}

/** Programs that are running, each with a log, in a folder of their own. */
class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), 'raftkv-conformance-'))
  readonly #programs: string
  readonly #children: ChildProcess[] = []

  constructor(programs: string) {
    this.#programs = programs
  }

  start(name: string, program: string, flags: readonly string[]): void {
    const log = openSync(join(this.folder, `${name}.log`), 'w')
    const stdio = ['ignore', log, log] as const
    this.#children.push(spawn(join(this.#programs, program), [...flags], { stdio: [...stdio], cwd: this.folder }))
  }

  async close(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      await Promise.race([once(child, 'exit'), new Promise((resolve) => setTimeout(resolve, 10_000))])
      child.kill('SIGKILL')
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function etcdFlags(folder: string, client: number, peer: number): readonly string[] {
  const [clientURL, peerURL] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`]
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${clientURL}`,
    `--advertise-client-urls=${clientURL}`,
    `--listen-peer-urls=${peerURL}`,
    `--initial-advertise-peer-urls=${peerURL}`,
    `--initial-cluster=default=${peerURL}`,
    '--unsafe-no-fsync',
  ]
}

function apiServerFlags(folder: string, etcdPort: number, port: number): readonly string[] {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const signing = file('sa.key', privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const verifying = file('sa.pub', publicKey.export({ type: 'spki', format: 'pem' }))
  const tokens = file('tokens.csv', `${TOKENS.admin},admin,admin,system:masters\n${TOKENS.reader},reader,reader\n`)
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--cert-dir=${join(folder, 'certificates')}`,
    `--token-auth-file=${tokens}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${signing}`,
    `--service-account-key-file=${verifying}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    // It would answer from copies of its own what its store has forgotten.
    '--feature-gates=ListFromCacheSnapshot=false',
    // Nobody makes service accounts here.
    '--disable-admission-plugins=ServiceAccount',
  ]
}

function managerFlags(folder: string, server: string): readonly string[] {
  const kubeconfig = join(folder, 'manager.kubeconfig')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: TOKENS.admin } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 })
  return [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${CONTROLLERS.join(',')}`,
    '--leader-elect=false',
    '--secure-port=0',
    // As often as it looks for new resources, so that RaftClusters are garbage-collected, too.
    '--min-resync-period=1m',
  ]
}

/** As the API server does it itself, every five minutes. */
async function compact(etcd: string): Promise<void> {
  const call = async (path: string, body: unknown): Promise<unknown> => {
    const answer = await fetch(`${etcd}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`etcd: ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  const range = await call('range', { key: Buffer.from('/').toString('base64') })
  await call('compaction', { revision: textAt(range, 'header', 'revision'), physical: true })
}

async function untilUp(target: Target, log: string): Promise<void> {
  const endMs = performance.now() + START_MS
  for (;;) {
    try {
      return await untilServed(target, '/readyz')
    } catch (error) {
      if (performance.now() > endMs) {
        const said = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n')
        throw new Error(`kube-apiserver does not start; its log ends with:\n${said}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

export async function freePorts(): Promise<[number, number]> {
  const servers = Array.from({ length: 2 }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has an address and a port')
    return address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  const [first = 0, second = 0] = ports
  return [first, second]
}
