/**
 * A real Kubernetes of one node: three members of a store, API server, controller-manager, scheduler, containerd, kubelet,
 * kube-proxy and CoreDNS as processes. It runs inside the namespaces that namespaces.sh makes and has no way to be stopped: it ends with
 * them.
 */
import type { ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { daemon, run } from '../process.ts'
import type { Report } from '../report.ts'
import { waitFor } from '../wait.ts'
import * as files from './box-files.ts'
import { startStore, type BoxStore, type StoreKind } from './box-store.ts'
import { PAUSE_IMAGE } from './images.ts'

export interface BoxOptions {
  /** Whose members Kubernetes keeps its objects in. */
  readonly store: StoreKind
  /** Of the repository. */
  readonly root: string
  /** The box's state, empty at the start. */
  readonly folder: string
  /** The programs of peers.ts. */
  readonly programs: string
  readonly imageTars: readonly string[]
}

export interface Box {
  readonly kubeconfig: string
  readonly store: BoxStore
}

const VOLUMES = '/tmp/hostpath_pv' // built into the controller-manager's provisioner
const START_LIMIT_MS = 90_000
const CTR = ['ctr', '-a', files.CONTAINERD_SOCKET, '-n', 'k8s.io']

/** Resolves once the node is Ready. */
export async function bringUpBox(report: Report, options: BoxOptions): Promise<Box> {
  const { folder } = options
  const kubeconfig = join(folder, 'admin.kubeconfig')
  await writeFiles(folder)
  makeCgroup()
  openVolumes()
  const store = await report.step(`start ${options.store}, the control plane and containerd`, async () => {
    const [started] = await Promise.all([startControlPlane(options, kubeconfig), startContainerd(folder)])
    return started
  })
  await report.step('start kubelet, kube-proxy and CoreDNS; load the images; the node becomes Ready', async () => {
    const loading = loadImages(options.imageTars)
    const kube = join(options.programs, 'kube')
    const identity = [
      `--kubeconfig=${folder}/kubelet.kubeconfig`,
      `--hostname-override=${files.NODE_NAME}`,
      `--node-ip=${files.NODE_ADDRESS}`,
    ]
    const own = [`--config=${folder}/kubelet.yaml`, `--root-dir=${folder}/kubelet`, `--cert-dir=${folder}/kubelet-pki`]
    const kubelet = start(folder, 'kubelet', [kube, 'kubelet', ...own, ...identity])
    start(folder, 'kube-proxy', [kube, 'kube-proxy', `--config=${folder}/proxy.yaml`])
    start(folder, 'coredns', [join(options.programs, 'coredns'), '-conf', `${folder}/Corefile`])
    await run(['kubectl', '--kubeconfig', kubeconfig, 'apply', '-f', '-'], { input: files.storageClass() })
    const wait = ['kubectl', '--kubeconfig', kubeconfig, 'wait', '--for=condition=Ready', `node/${files.NODE_NAME}`]
    await untilUp(kubelet, async () => run([...wait, '--timeout=2s']))
    await loading
  })
  return { kubeconfig, store }
}

async function writeFiles(folder: string): Promise<void> {
  for (const name of ['logs', 'cni']) mkdirSync(join(folder, name), { recursive: true })
  mkdirSync('/run/raftkv-e2e', { recursive: true })
  await run(['openssl', 'genrsa', '-out', join(folder, 'sa.key'), '2048'])
  await run(['openssl', 'rsa', '-in', join(folder, 'sa.key'), '-pubout', '-out', join(folder, 'sa.pub')])
  const texts: Record<string, string> = {
    'tokens.csv': files.tokenFile(),
    'admin.kubeconfig': files.kubeconfig('admin'),
    'controller-manager.kubeconfig': files.kubeconfig('controller-manager'),
    'scheduler.kubeconfig': files.kubeconfig('scheduler'),
    'kubelet.kubeconfig': files.kubeconfig('kubelet'),
    'containerd.toml': files.containerdConfig(folder, PAUSE_IMAGE),
    'cni/10-bridge.conflist': files.cniConfig(),
    'kubelet.yaml': files.kubeletConfig(folder),
    'proxy.yaml': files.proxyConfig(folder),
    Corefile: files.corefile(folder),
  }
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text, { mode: 0o600 })
}

async function startControlPlane(options: BoxOptions, kubeconfig: string): Promise<BoxStore> {
  const { folder, programs, root } = options
  const kube = join(programs, 'kube')
  const store = startStore({ kind: options.store, root, folder, programs })
  const apiserver = start(folder, 'kube-apiserver', [
    kube,
    'kube-apiserver',
    ...files.apiserverFlags(folder, store.clientUrls),
  ])
  await untilUp(apiserver, async () => run(['kubectl', '--kubeconfig', kubeconfig, 'get', '--raw', '/readyz']))
  start(folder, 'kube-controller-manager', [
    kube,
    'kube-controller-manager',
    `--kubeconfig=${folder}/controller-manager.kubeconfig`,
    '--leader-elect=false',
    '--use-service-account-credentials',
    `--service-account-private-key-file=${folder}/sa.key`,
    `--root-ca-file=${folder}/apiserver/apiserver.crt`,
    '--enable-hostpath-provisioner=true',
  ])
  const scheduler = [`--kubeconfig=${folder}/scheduler.kubeconfig`, '--leader-elect=false']
  start(folder, 'kube-scheduler', [kube, 'kube-scheduler', ...scheduler])
  return store
}

async function startContainerd(folder: string): Promise<void> {
  const containerd = start(folder, 'containerd', ['containerd', '-c', join(folder, 'containerd.toml')])
  await untilUp(containerd, async () => run([...CTR, 'version']))
}

async function loadImages(tars: readonly string[]): Promise<void> {
  for (const tar of tars) await run([...CTR, 'images', 'import', tar])
}

interface Daemon {
  readonly name: string
  readonly process: ChildProcess
  readonly logPath: string
}

function start(folder: string, name: string, command: readonly string[]): Daemon {
  const logPath = join(folder, 'logs', `${name}.log`)
  return { name, process: daemon(command, logPath, folder), logPath }
}

/** Waits until `probe` succeeds; an early end of the daemon ends the wait at once, with what it said last. */
async function untilUp(started: Daemon, probe: () => Promise<unknown>): Promise<void> {
  const ended = new Promise<never>((_, reject) => {
    started.process.once('exit', (code, signal) => {
      const said = readFileSync(started.logPath, 'utf8').trim().split('\n').slice(-15).join('\n')
      reject(new Error(`${started.name} ended with ${code ?? signal}; ${started.logPath} ends with:\n${said}`))
    })
  })
  ended.catch(() => {}) // an end after the wait is noticed by what then fails
  const up = waitFor(`${started.name}, log in ${started.logPath}`, { timeoutMs: START_LIMIT_MS }, async () => {
    await probe()
    return true
  })
  await Promise.race([up, ended])
}

/** A cgroup of the box's own, below which kubelet puts the pods: cgroups have no namespace here. */
function makeCgroup(): void {
  for (const path of cgroupPaths()) mkdirSync(path, { recursive: true })
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    const [from, to] = [`/sys/fs/cgroup/cpuset/${name}`, `/sys/fs/cgroup/cpuset/${files.CGROUP}/${name}`]
    if (existsSync(from)) writeFileSync(to, readFileSync(from, 'utf8')) // version 1 starts a cpuset empty
  }
}

/** One path in version 2 of cgroups, one per controller in version 1. */
export function cgroupPaths(): string[] {
  const root = '/sys/fs/cgroup'
  if (existsSync(join(root, 'cgroup.controllers'))) return [join(root, files.CGROUP)]
  return readdirSync(root)
    .filter((name) => existsSync(join(root, name, 'cgroup.procs')))
    .map((name) => join(root, name, files.CGROUP))
}

/** The provisioner makes its folders 0750 root and hostPath ignores fsGroup: open each for a non-root pod. */
function openVolumes(): void {
  watch(VOLUMES, { persistent: false }, (_, name) => {
    if (name === null) return
    try {
      const path = join(VOLUMES, name)
      // Opening it is a change that is told here, too.
      if ((statSync(path).mode & 0o777) !== 0o777) chmodSync(path, 0o777)
    } catch {
      // the event was about its removal
    }
  })
}
