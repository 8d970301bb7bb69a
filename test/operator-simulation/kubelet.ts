/**
 * Nodes that run pods: a pod starts once its volume is bound, its member process lives on the volume's disk, readiness
 * follows the member, termination takes its time, and a node that is lost takes its pods along until it is back.
 */
import { textAt, listAt } from './json.ts'
import type { StoredObject } from './api-server.ts'
import { type Disk, emptyDisk, type MemberProcess } from './member-process.ts'
import type { World } from './world.ts'

interface Node {
  readonly name: string
  isUp: boolean
}

export class Kubelet {
  readonly nodes: Node[] = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'].map((name) => ({ name, isUp: true }))
  /** By UID of the volume. */
  readonly disks = new Map<string, Disk>()
  running: readonly MemberProcess[] = []
  /** Where no process runs, for as long as it lasts. */
  readonly #silent = new Set<Disk>()
  /** Pods that cannot start yet, by name. */
  readonly stuckPods = new Set<string>()
  readonly #world: World
  readonly #nodeOf = new Map<string, Node>()
  #addresses = 0

  constructor(world: World) {
    this.#world = world
  }

  /** A pod appeared. */
  onPod(pod: StoredObject): void {
    const { random } = this.#world
    const up = this.nodes.filter(({ isUp }) => isUp)
    const node = up[random.below(up.length)]
    if (node !== undefined) this.#nodeOf.set(pod.metadata.uid, node)
    this.#later(100 + random.below(900), () => this.#start(pod.metadata.name, pod.metadata.uid))
  }

  onPodDeleting(pod: StoredObject): void {
    this.#later(20 + this.#world.random.below(1500), () => this.#finish(pod))
  }

  onPodGone(pod: StoredObject): void {
    this.running = this.running.filter(({ podUid }) => podUid !== pod.metadata.uid)
    this.#nodeOf.delete(pod.metadata.uid)
  }

  nodeOf(uid: string): Node | undefined {
    return this.#nodeOf.get(uid)
  }

  crash(process: MemberProcess, forMs: number): void {
    process.isUp = false
    this.syncReadiness()
    this.#later(forMs, () => this.#revive(process))
  }

  /** Its data is there, and nothing runs on it until `speak`, in whatever pod. */
  silence(process: MemberProcess): void {
    this.#silent.add(process.disk)
    process.isUp = false
    this.syncReadiness()
  }

  speak(): void {
    const silenced = this.running.filter(({ disk }) => this.#silent.has(disk))
    this.#silent.clear()
    for (const process of silenced) this.#revive(process)
    this.syncReadiness()
  }

  /** Dead for everybody until it is back; then its pods go on, or are gone if they were deleted meanwhile. */
  lose(node: Node, forMs: number): void {
    node.isUp = false
    for (const process of this.running) if (this.#nodeOf.get(process.podUid) === node) process.isUp = false
    this.syncReadiness()
    this.#later(forMs, () => {
      node.isUp = true
      for (const process of this.running) if (this.#nodeOf.get(process.podUid) === node) this.#revive(process)
      this.syncReadiness()
    })
  }

  /** The pod is taken from its node: out of memory or disk there. */
  evict(pod: StoredObject): void {
    this.running = this.running.filter(({ podUid }) => podUid !== pod.metadata.uid)
    this.#write(pod, { phase: 'Failed', reason: 'Evicted', conditions: [] })
  }

  /** Readiness as the probe of each running pod finds it. */
  syncReadiness(): void {
    const { server } = this.#world
    for (const process of this.running) {
      const pod = server.get('Pod', process.name)
      if (pod === undefined || pod.metadata.uid !== process.podUid) continue
      const status = this.#isReady(process) ? 'True' : 'False'
      const isRunning = textAt(listAt(pod, 'status', 'containerStatuses')[0], 'state', 'running', 'startedAt') !== ''
      if (conditionOf(pod, 'Ready') !== status || isRunning !== process.isUp)
        this.#write(pod, this.#status(process, status))
    }
  }

  #isReady(process: MemberProcess): boolean {
    const { raft, tls, hasTls } = this.#world
    const { disk, isUp } = process
    if (!isUp || disk.clusterId === '' || disk.isRemoved || disk.applied === 0) return false
    return !process.isCutOff && raft.leader !== '' && (!hasTls || tls.isPublished(process))
  }

  #status(process: MemberProcess, ready: string): object {
    const podIP = process.address
    const lastTransitionTime = new Date(this.#world.wallMs()).toISOString()
    const state = process.isUp
      ? { running: { startedAt: lastTransitionTime } }
      : { waiting: { reason: 'CrashLoopBackOff', message: '' } }
    const conditions = [
      { type: 'PodScheduled', status: 'True', lastTransitionTime },
      { type: 'Ready', status: ready, lastTransitionTime },
    ]
    return { phase: 'Running', podIP, conditions, containerStatuses: [{ state }] }
  }

  #revive(process: MemberProcess): void {
    if (this.#silent.has(process.disk)) return
    if (this.running.includes(process) && this.#nodeOf.get(process.podUid)?.isUp === true) process.isUp = true
  }

  #start(name: string, uid: string): void {
    const { server } = this.#world
    const pod = server.get('Pod', name)
    if (pod === undefined || pod.metadata.uid !== uid || pod.metadata.deletionTimestamp !== undefined) return
    if (textAt(pod, 'status', 'phase') === 'Failed') return
    const volume = server.get('PersistentVolumeClaim', `data-${name}`)
    const isBound = volume !== undefined && textAt(volume, 'status', 'capacity', 'storage') !== ''
    const isUp = this.#nodeOf.get(uid)?.isUp === true
    const isMounted = !this.#world.hasTls || this.#world.tls.mounts(pod)
    if (!isBound || !isUp || !isMounted || this.stuckPods.has(name))
      return this.#later(500, () => this.#start(name, uid))
    const disk = this.disks.get(volume.metadata.uid) ?? emptyDisk()
    this.disks.set(volume.metadata.uid, disk)
    const number = ++this.#addresses
    const process: MemberProcess = {
      name,
      podUid: uid,
      address: `10.0.${number >> 8}.${number & 255}`,
      disk,
      version: imageOf(pod),
      isUp: !this.#silent.has(disk),
      isCutOff: false,
      isUnreachable: false,
      ledUntilMs: 0,
    }
    this.running = [...this.running, process]
    this.#world.restores.onStart(disk, name)
    if (this.#world.hasTls) this.#world.tls.started(process)
    this.#write(pod, this.#status(process, this.#isReady(process) ? 'True' : 'False'))
  }

  #finish(pod: StoredObject): void {
    const { server } = this.#world
    const present = server.get('Pod', pod.metadata.name)
    if (present?.metadata.uid !== pod.metadata.uid) return
    if (this.#nodeOf.get(pod.metadata.uid)?.isUp === false) return this.#later(1000, () => this.#finish(pod))
    server.remove(present)
  }

  #write(pod: StoredObject, status: object): void {
    const present = this.#world.server.get('Pod', pod.metadata.name)
    if (present?.metadata.uid === pod.metadata.uid)
      this.#world.server.applyStatus({ ...present, metadata: { name: pod.metadata.name }, status })
  }

  #later(delayMs: number, run: () => void): void {
    this.#world.schedule.after(delayMs, run)
  }
}

export function conditionOf(object: StoredObject | undefined, type: string): string {
  const found = listAt(object, 'status', 'conditions').find((condition) => textAt(condition, 'type') === type)
  return textAt(found, 'status')
}

function imageOf(pod: StoredObject): string {
  const [container] = listAt(pod, 'spec', 'containers')
  const image = textAt(container, 'image')
  return image.slice(image.lastIndexOf(':') + 1)
}
