/**
 * The node: its object and heartbeat, a worker for each pod that is bound to it, the names of the cluster for its
 * processes, and their logs. An HTTP client of the API server and nothing else.
 *
 * What a container has of its own here: an address, a host name, variables, volumes, output. What it has not: a file
 * system, a user, limits, a network of its own. It is for trying out and for tests.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { cpus, totalmem } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { systemClock } from '../../lib/system-clock.ts'
import { sleep } from '../../lib/clock.ts'
import type { ApiClient } from '../client/client.ts'
import type { Mirrors } from '../client/mirrors.ts'
import type { StoredObject } from '../client/object.ts'
import { keyOf } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import type { Network } from './addresses.ts'
import { Addresses, addressOf } from './addresses.ts'
import { EventWriter } from './events.ts'
import type { Images } from './images.ts'
import { serveLogs } from './log-server.ts'
import { hostsOf } from './names.ts'
import { newNode, nodeLease, nodeStatus } from './node.ts'
import type { Pod } from './pod.ts'
import { podOf } from './pod.ts'
import type { NodeFacts } from './pod-worker.ts'
import { PodWorker } from './pod-worker.ts'
import { endLeftovers } from './process.ts'
import { replaceFile } from './replace-file.ts'

const INSIDE = new URL('inside.ts', import.meta.url).href
/** Of the kubelet on its node, as everywhere. */
export const KUBELET_PORT = 10_250
const HEARTBEAT_MS = 10_000

export interface KubeletOptions {
  readonly client: ApiClient
  readonly mirrors: Mirrors
  readonly logger: Logger
  readonly nodeName: string
  readonly network: Network
  /** Listens on the node's address already, which is how the network was claimed. */
  readonly server: Server
  readonly images: Images
  /** Pods, logs, the names of the cluster. */
  readonly directory: string
  /** More variables for every process. */
  readonly variables: Readonly<Record<string, string>>
  /** When all stops: pods of this namespace before the others. */
  readonly stopFirst: string
}

function addressesFile(directory: string): string {
  return join(directory, 'addresses.json')
}

/** Of pods that may come later, by namespace and name: they have them from now on. Before there is a kubelet in that directory. */
export function reserveAddresses(directory: string, network: Network, pods: readonly string[]): readonly string[] {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const addresses = new Addresses(network, addressesFile(directory))
  return pods.map((pod) => addresses.take(pod))
}

export class Kubelet {
  readonly #options: KubeletOptions
  readonly #ending = new AbortController()
  readonly #addresses: Addresses
  readonly #events: EventWriter
  readonly #node: NodeFacts
  /** By UID. */
  readonly #workers = new Map<string, PodWorker>()
  /** By namespace and name: the end of the last pod that had it. */
  readonly #lastOfName = new Map<string, Promise<void>>()
  #beating: Promise<void> | undefined
  readonly #startedAtMs = Date.now()
  #isStopping = false
  #hosts = ''

  constructor(options: KubeletOptions) {
    const { client, logger, directory, network, nodeName, images } = options
    this.#options = options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#addresses = new Addresses(network, addressesFile(directory))
    this.#events = new EventWriter(client, logger, 'kubelet', nodeName)
    this.#node = {
      client,
      logger,
      images,
      hostIP: addressOf(network, 1),
      podsDirectory: join(directory, 'pods'),
      processRegistry: join(directory, 'processes'),
      baseVariables: (pod, podIP) => this.#variables(pod, podIP),
      onEvent: (pod, type, reason, message) => this.#events.emit(pod.object, type, reason, 'Running', message),
    }
  }

  /** How many processes of an earlier sandbox it had to end. */
  async start(): Promise<number> {
    const { mirrors, nodeName } = this.#options
    const leftovers = await endLeftovers(this.#node.processRegistry)
    replaceFile(this.#hostsFile, '')
    serveLogs(this.#options.server, (namespace, pod, container) =>
      [...this.#workers.values()]
        .find((worker) => worker.pod.namespace === namespace && worker.pod.name === pod)
        ?.logsOf(container),
    )
    await this.#register()
    this.#beating = this.#beat()
    const services = mirrors.of(RESOURCES.services)
    const pods = mirrors.of(RESOURCES.pods)
    await Promise.all([services.synced, pods.synced])
    this.#sweep(new Set([...pods.values()].map(({ metadata }) => metadata.uid)))
    const writeHosts = (): void => this.#writeHosts(hostsOf([...services.values()], [...pods.values()]))
    services.onChange(writeHosts)
    pods.onChange(writeHosts)
    pods.onChange((object, isGone) => {
      if (this.#isStopping) return
      if (isGone) return this.#forget(object)
      const pod = this.#read(object)
      if (pod?.spec.nodeName === nodeName) this.#accept(pod)
    })
    // From now on nobody is told that a pod is ready because it was so in an earlier sandbox.
    await Promise.all([...this.#workers.values()].map(async (worker) => worker.reported()))
    return leftovers
  }

  /** All processes end, in order; the pods stay. */
  async stop(graceMs: number): Promise<void> {
    const { server } = this.#options
    this.#isStopping = true
    this.#ending.abort()
    const isFirst = ({ pod }: PodWorker): boolean => pod.namespace === this.#options.stopFirst
    const workers = [...this.#workers.values()]
    await Promise.all(workers.filter(isFirst).map(async (worker) => worker.suspend(graceMs)))
    await Promise.all(workers.filter((worker) => !isFirst(worker)).map(async (worker) => worker.suspend(graceMs)))
    await this.#beating
    server.closeAllConnections()
    server.close()
  }

  /** As if it had crashed; false when it runs nowhere here. */
  kill(namespace: string, name: string): boolean {
    const found = [...this.#workers.values()].filter(({ pod }) => pod.namespace === namespace && pod.name === name)
    return found.map((worker) => worker.kill()).includes(true)
  }

  #read(object: StoredObject): Pod | undefined {
    try {
      return podOf(object)
    } catch (error) {
      this.#options.logger.error({ pod: keyOf(object), err: error }, 'a pod that cannot be read')
      return undefined
    }
  }

  #accept(pod: Pod): void {
    const known = this.#workers.get(pod.uid)
    if (known !== undefined) return known.update(pod)
    const isOver = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
    // Left by an earlier sandbox: nothing of it runs, so only its deletion is to be finished.
    if (isOver && pod.object.metadata.deletionTimestamp === undefined) return
    const key = keyOf(pod.object)
    const before = this.#lastOfName.get(key) ?? Promise.resolve()
    const worker = new PodWorker(this.#node, pod, this.#addresses.take(key), before)
    this.#workers.set(pod.uid, worker)
    const ended = worker.finished.catch((error: unknown) =>
      this.#options.logger.error({ pod: key, err: error }, 'a pod could not be run'),
    )
    this.#lastOfName.set(key, ended)
    void ended.then(() => {
      if (this.#lastOfName.get(key) === ended) this.#lastOfName.delete(key)
    })
    if (pod.object.metadata.deletionTimestamp !== undefined) worker.update(pod)
  }

  /** The object has gone; what is left of its processes, logs and empty directories goes too. */
  #forget(object: StoredObject): void {
    const { uid } = object.metadata
    const worker = this.#workers.get(uid)
    if (worker === undefined) return
    worker.forced()
    const key = keyOf(object)
    void worker.finished.finally(() => {
      worker.forget()
      this.#workers.delete(uid)
      if ([...this.#workers.values()].every(({ pod }) => keyOf(pod.object) !== key)) this.#addresses.release(key)
    })
  }

  /** Directories of pods that went while no kubelet looked. */
  #sweep(known: ReadonlySet<string>): void {
    const { podsDirectory } = this.#node
    mkdirSync(podsDirectory, { recursive: true, mode: 0o700 })
    for (const uid of readdirSync(podsDirectory)) {
      if (!known.has(uid)) rmSync(join(podsDirectory, uid), { recursive: true, force: true })
    }
  }

  #variables(pod: Pod, podIP: string): Readonly<Record<string, string>> {
    return {
      PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      HOME: join(this.#node.podsDirectory, pod.uid),
      HOSTNAME: pod.spec.hostname ?? pod.name,
      SANDBOX_POD_IP: podIP,
      SANDBOX_NAMESPACE: pod.namespace,
      SANDBOX_HOSTS: this.#hostsFile,
      NODE_OPTIONS: `--import=${INSIDE}`,
      ...this.#options.variables,
    }
  }

  #writeHosts(text: string): void {
    if (text === this.#hosts) return
    this.#hosts = text
    replaceFile(this.#hostsFile, text)
  }

  get #hostsFile(): string {
    return join(this.#options.directory, 'hosts')
  }

  async #register(): Promise<void> {
    const { client, nodeName } = this.#options
    await client.createIfMissing(RESOURCES.nodes, newNode(nodeName))
    await this.#writeNodeStatus()
  }

  async #writeNodeStatus(): Promise<void> {
    const { client, nodeName } = this.#options
    const machine = { cpus: cpus().length, memoryBytes: totalmem() }
    const status = nodeStatus(nodeName, this.#node.hostIP, KUBELET_PORT, machine, Date.now(), this.#startedAtMs)
    await client.patch(RESOURCES.nodes, { namespace: undefined, name: nodeName }, { status }, { subresource: 'status' })
  }

  async #beat(): Promise<void> {
    const { client, logger, nodeName } = this.#options
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        const lease = nodeLease(nodeName, Date.now())
        const isNew = await client.createIfMissing(RESOURCES.leases, lease)
        const { namespace, name = '' } = lease.metadata
        if (!isNew) await client.patch(RESOURCES.leases, { namespace, name }, { spec: lease['spec'] })
        await this.#writeNodeStatus()
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: error }, 'a heartbeat was not written')
      }
      await sleep(systemClock, HEARTBEAT_MS, signal)
    }
  }
}
