/**
 * Backups that are restored in the place of a lost quorum, in some of the runs: the Job that fills a volume, the cluster that starts from it, and
 * the person who asks. A Job may fail, and is then deleted by that person; its pod may outlive it for a moment.
 *
 * Chance here is apart from that of all else, so that a seed without it is what it was.
 */
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import type { StoredObject } from './api-server.ts'
import { listAt, textAt } from './json.ts'
import { type Disk, emptyDisk } from './member-process.ts'
import { RaftCluster } from './raft-cluster.ts'
import type { World } from './world.ts'

/** Of all seeds, those whose remainder by 11 is 6. */
const EVERY = 11
const REMAINDER = 6
const LOOK_MS = 2000

export class Restores {
  readonly isOn: boolean
  /** Clusters that were replaced, by ID. */
  readonly replaced = new Set<string>()
  readonly #world: World
  readonly #random: Random
  /** What a Job has made: the cluster's ID, by disk. */
  readonly #filled = new WeakMap<Disk, string>()
  readonly #started = new Set<string>()
  #requests = 0

  constructor(world: World, seed: number) {
    this.#world = world
    this.#random = seeded(seed * 104_729 + 3)
    this.isOn = seed % EVERY === REMAINDER
  }

  /** Instead of naming a survivor. */
  ask(): void {
    const { coverage, schedule } = this.#world
    coverage.note('quorum lost for good, and a backup asked for')
    this.#request()
    schedule.after(LOOK_MS, () => this.#attend())
  }

  isFilledWith(uid: string, clusterId: string): boolean {
    const disk = this.#world.kubelet.disks.get(uid)
    return disk !== undefined && this.#filled.get(disk) === clusterId
  }

  /** A Job, or a pod of one. */
  onChange(before: StoredObject | undefined, after: StoredObject | undefined): void {
    const { server, schedule } = this.#world
    if (after?.kind === 'Job' && before === undefined) schedule.after(this.#random.below(500), () => this.#start(after))
    if (before?.kind === 'Job' && after === undefined) {
      // It is told to stop, and takes its time.
      const pod = server.get('Pod', `${before.metadata.name}-${before.metadata.uid}`)
      if (pod !== undefined) schedule.after(this.#random.below(3000), () => server.remove(pod))
    }
  }

  /** Somebody runs on that disk: where a backup was restored to it, it is a cluster. */
  onStart(disk: Disk, name: string): void {
    const clusterId = this.#filled.get(disk)
    if (clusterId === undefined || disk.clusterId !== clusterId || this.#started.has(clusterId)) return
    const { raft, oracle, log, stores } = this.#world
    this.#started.add(clusterId)
    oracle.replaces(raft, clusterId)
    this.replaced.add(raft.clusterId)
    log.add('cluster', `${name} is cluster ${clusterId}, out of a backup`)
    this.#world.raft = new RaftCluster(this.#world)
    this.#world.raft.startRestored(disk, name)
    stores.restored()
  }

  #request(): void {
    const restore = { source: { volume: { claimName: 'nas' } } }
    const request = { id: `restore-${++this.#requests}`, restore, acknowledgeDataLoss: true }
    this.#world.edit({ recovery: { request }, paused: false })
  }

  /** A person does what the conditions say. */
  #attend(): void {
    const { server, name, schedule, raft } = this.#world
    const cluster = this.#world.cluster()
    const reason = textAt(
      listAt(cluster, 'status', 'conditions').find((one) => textAt(one, 'type') === 'Degraded'),
      'reason',
    )
    const job = server.get('Job', `${name}-restore`)
    if (reason === 'RestoreFailed' && job !== undefined) server.remove(job)
    if (reason === 'SeedVolumeLost') this.#request()
    const isOver = textAt(cluster, 'status', 'clusterID') === raft.clusterId && raft.leader !== ''
    if (cluster !== undefined && !isOver) schedule.after(LOOK_MS, () => this.#attend())
  }

  #start(job: StoredObject): void {
    const { server, schedule } = this.#world
    if (!isThere(this.#world, job)) return
    const [container] = listAt(job, 'spec', 'template', 'spec', 'containers')
    const flag = (key: string): string =>
      listAt(container, 'args')
        .map(String)
        .find((arg) => arg.startsWith(`--${key}=`))
        ?.slice(key.length + 3) ?? ''
    const name = `${job.metadata.name}-${job.metadata.uid}`
    server.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { ...job.metadata.labels } },
      status: { phase: 'Running', conditions: [] },
    })
    const claim = `data-${flag('name')}`
    const uid = server.get('PersistentVolumeClaim', claim)?.metadata.uid ?? ''
    schedule.after(200 + this.#random.below(6000), () => this.#finish(job, name, uid, flag('cluster-id')))
  }

  /** Also of a Job that is gone, for as long as its pod is there. */
  #finish(job: StoredObject, podName: string, volumeUid: string, clusterId: string): void {
    const { server, kubelet, oracle, coverage } = this.#world
    const pod = server.get('Pod', podName)
    if (pod === undefined) return
    const isFailure = this.#random.chance(0.4)
    server.applyStatus({ ...pod, metadata: { name: podName }, status: { phase: isFailure ? 'Failed' : 'Succeeded' } })
    if (!isFailure) {
      const disk = kubelet.disks.get(volumeUid) ?? emptyDisk()
      kubelet.disks.set(volumeUid, disk)
      oracle.fills(volumeUid, disk, clusterId)
      if (disk.clusterId !== clusterId) {
        const memberId = (0x100 + this.#world.nextId()).toString(16)
        Object.assign(disk, emptyDisk(), { clusterId, memberId, applied: 2, appliedTerm: 1, term: 1 })
        this.#filled.set(disk, clusterId)
      }
    }
    coverage.note(isFailure ? 'restore failed' : 'restore done')
    if (!isThere(this.#world, job)) return
    const status = { conditions: [{ type: isFailure ? 'Failed' : 'Complete', status: 'True', reason: 'Told' }] }
    server.applyStatus({ ...job, metadata: { name: job.metadata.name }, status })
  }
}

/** Of a Job that restores. */
export function isTool({ metadata }: StoredObject): boolean {
  return metadata.labels?.['app.kubernetes.io/component'] === 'restore'
}

function isThere({ server }: World, { kind, metadata }: StoredObject): boolean {
  return server.get(kind, metadata.name)?.metadata.uid === metadata.uid
}
