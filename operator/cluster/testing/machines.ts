/**
 * What happens by itself in the operator's world: a StatefulSet controller that is as slow as `tick` is rare, kubelets, the Job that
 * restores a backup, and members that catch up and elect.
 */
import assert from 'node:assert/strict'
import type { KubeObject } from '../ports.ts'
import { CLUSTER_UID_LABEL, ordinalOf } from '../resources/names.ts'
import { type Disk, FakeCluster } from './fake-cluster.ts'
import { schemeOf, type Talker, talkerOf } from './fake-tls.ts'
import { MountedSecrets } from './mounted-secrets.ts'
import { field, KEY, Objects } from './objects.ts'
import { Talks } from './talks.ts'

export class Machines extends Objects {
  readonly disks = new Map<string, Disk>()
  readonly cluster = new FakeCluster()
  /** Pods whose members run and do not serve. */
  readonly unready = new Set<string>()
  /** Images that do not start. */
  readonly broken = new Set<string>()
  /** A quota, or a webhook: the StatefulSet's controller makes no pods. */
  refusesPods = false
  /** Pods that do not end when they are told to: their machine is gone, or they take their time. */
  readonly lingering = new Set<string>()
  /** Pods whose members have another token than the Secret. */
  readonly refusingToken = new Set<string>()
  /** Pods whose kubelet does not bring mounted Secrets up to date. */
  readonly stale = new Set<string>()
  /** Pods whose members do not make known by what others reach them. */
  readonly unpublished = new Set<string>()
  readonly #mounts = new MountedSecrets()
  readonly talks = new Talks()
  /** What the Job that restores a backup says when it fails; undefined: it does what it should. */
  restoreProblem: string | undefined
  /** Volumes that a backup was restored to, by UID. */
  readonly restored: string[] = []
  nowMs = Date.parse('2030-01-01T00:00:00Z')
  readonly #startedClusters = new Set<string>()
  readonly #secret = (name: string): KubeObject | undefined => this.get('Secret', name)

  /** The pod ends by itself, as at a shutdown of its machine. */
  endPod(ordinal: number, phase: string): void {
    const pod = this.get('Pod', `${KEY.name}-${ordinal}`)
    if (pod !== undefined) this.put({ ...pod, status: { phase } })
    this.settleMembers()
  }

  killPod(ordinal: number): void {
    this.objects.delete(`Pod/${KEY.name}-${ordinal}`)
    this.settleMembers()
  }

  /** The disk is gone with all that is on it, and the pod with it. */
  loseVolume(ordinal: number): void {
    this.objects.delete(`PersistentVolumeClaim/data-${KEY.name}-${ordinal}`)
    this.killPod(ordinal)
  }

  diskOf(pod: KubeObject): Disk | undefined {
    const volume = this.get('PersistentVolumeClaim', `data-${pod.metadata.name}`)
    return this.disks.get(volume?.metadata.uid ?? '')
  }

  /** Time passes: the StatefulSet controller looks once, members catch up and elect. */
  tick(): void {
    this.nowMs += 1000
    for (const pod of this.all('Pod')) this.#publish(pod)
    const set = this.get('StatefulSet', KEY.name)
    for (const pod of this.all('Pod')) {
      const ordinal = ordinalOf(KEY.name, pod.metadata.name)
      if (ordinal === undefined) continue
      const { phase } = field(pod, 'status')
      const isOver = phase === 'Succeeded' || phase === 'Failed'
      if (isOrphan(pod)) this.#adopt(pod, set)
      else if (!isControlledBy(pod, set) || !this.ordinals().includes(ordinal) || isOver) this.stopPod(pod)
      else if (pod.metadata.deletionTimestamp !== undefined) this.stopPod(pod)
    }
    for (const volume of this.all('PersistentVolumeClaim')) {
      const isUsed = this.get('Pod', volume.metadata.name.replace(/^data-/, '')) !== undefined
      if (volume.metadata.deletionTimestamp !== undefined && !isUsed)
        this.objects.delete(`PersistentVolumeClaim/${volume.metadata.name}`)
    }
    this.#runRestore()
    if (set !== undefined) for (const ordinal of this.ordinals()) this.#startPod(set, ordinal)
    for (const pod of this.all('Pod')) if (!this.stale.has(pod.metadata.name)) this.#mounts.look(pod, this.#secret)
    for (const disk of this.cluster.alive.values()) disk.age++
    this.cluster.stores.tick()
    this.settleMembers()
    this.#checkTalks()
  }

  /** As the tool does it: a volume that has the cluster is left alone, and one that has another is refused. */
  #runRestore(): void {
    const job = this.get('Job', `${KEY.name}-restore`)
    const isOurs = job?.metadata.ownerReferences?.[0]?.uid === this.resource().metadata.uid
    if (job === undefined || !isOurs || field(job, 'status')['conditions'] !== undefined) return
    const pod = JSON.stringify(job['spec']).match(/--name=([a-z0-9-]+)/)?.[1] ?? ''
    const volume = this.get('PersistentVolumeClaim', `data-${pod}`)
    const disk = this.disks.get(volume?.metadata.uid ?? '')
    if (volume?.metadata.uid === undefined || disk === undefined) return
    const type = this.restoreProblem === undefined ? 'Complete' : 'Failed'
    this.put({ ...job, status: { conditions: [{ type, status: 'True', reason: 'BackoffLimitExceeded' }] } })
    if (this.restoreProblem !== undefined) return this.#failRestore(job, this.restoreProblem)
    const clusterId = JSON.stringify(job['spec']).match(/--cluster-id=([0-9a-f]+)/)?.[1] ?? ''
    const { volumeUID } = field(this.status(), 'operation')
    assert.equal(volumeUID, volume.metadata.uid, 'a volume is recorded before it is filled')
    if (disk.clusterId === clusterId) return
    assert.equal(disk.clusterId, '', 'a restore overwrites nothing')
    assert(this.get('Pod', pod) === undefined, 'nobody uses a volume that is being filled')
    Object.assign(disk, { clusterId, memberId: `f${this.restored.length + 1}`, age: 9 })
    this.restored.push(volume.metadata.uid)
  }

  #failRestore({ metadata }: KubeObject, message: string): void {
    const labels = { ...metadata.labels }
    const containerStatuses = [{ name: 'tool', state: { terminated: { exitCode: 1, message } } }]
    const name = `${metadata.name}-1`
    this.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels },
      status: { phase: 'Failed', containerStatuses },
    })
  }

  stopPod(pod: KubeObject): void {
    const { name, deletionTimestamp = new Date(this.nowMs).toISOString() } = pod.metadata
    if (this.lingering.has(name)) this.put({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } })
    else this.objects.delete(`Pod/${name}`)
  }

  #adopt(pod: KubeObject, set: KubeObject | undefined): void {
    if (set !== undefined) this.put({ ...pod, metadata: { ...pod.metadata, ownerReferences: [ownerOf(set)] } })
  }

  #startPod(set: KubeObject, ordinal: number): void {
    if (this.refusesPods) return
    if (this.get('Pod', `${KEY.name}-${ordinal}`) === undefined) this.refusingToken.delete(`${KEY.name}-${ordinal}`)
    const name = `${KEY.name}-${ordinal}`
    let volume = this.get('PersistentVolumeClaim', `data-${name}`)
    if (volume?.metadata.deletionTimestamp !== undefined || this.get('Pod', name) !== undefined) return
    if (volume === undefined) {
      const labels = { [CLUSTER_UID_LABEL]: this.resource().metadata.uid ?? '' }
      const resources = { requests: { storage: '10Gi' } }
      volume = this.put({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: `data-${name}`, labels },
        spec: { resources },
        status: { capacity: { storage: '10Gi' } },
      })
      this.disks.set(volume.metadata.uid ?? '', { clusterId: '', memberId: '', age: 0 })
    }
    const pod = this.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, ownerReferences: [ownerOf(set)], annotations: this.#templateAnnotations(set) },
      spec: field(field(field(set, 'spec'), 'template'), 'spec'),
      status: this.broken.has(this.#imageOf(set)) ? { phase: 'Pending' } : { phase: 'Running', podIP: name },
    })
    this.#mounts.look(pod, this.#secret)
    this.#publish(pod)
  }

  /** A member whose peer URLs are others than its record says makes them known, once there is a leader to tell. */
  #publish(pod: KubeObject): void {
    const { name } = pod.metadata
    const isRunning = field(pod, 'status')['phase'] === 'Running'
    if (!isRunning || this.cluster.leader === '' || this.unpublished.has(name)) return
    const { known } = this.talker('peer', pod, false)
    this.cluster.members = this.cluster.members.map((member) =>
      member.name === name
        ? { ...member, peerURLs: known.map((scheme) => member.peerURLs[0]?.replace(/^https?/, scheme) ?? '') }
        : member,
    )
  }

  /** How a pod's member talks; `asKnown`: by its record. */
  talker(side: 'peer' | 'client', pod: KubeObject, asKnown = true): Talker {
    const containers: unknown = field(pod, 'spec')['containers']
    const args: unknown = field({ first: Array.isArray(containers) ? containers[0] : {} }, 'first')['args']
    const known = this.cluster.members.find(({ name }) => name === pod.metadata.name)?.peerURLs.map(schemeOf)
    return talkerOf(
      side,
      pod.metadata.name,
      Array.isArray(args) ? args.map(String) : [],
      this.#mounts.of(pod),
      asKnown && side === 'peer' ? known : undefined,
    )
  }

  #checkTalks(): void {
    const running = this.all('Pod').filter((pod) => field(pod, 'status')['phase'] === 'Running')
    this.talks.check(this.nowMs, this.#secret, (side) => running.map((pod) => this.talker(side, pod)))
  }

  #imageOf(set: KubeObject): string {
    const containers: unknown = field(field(field(set, 'spec'), 'template'), 'spec')['containers']
    const first: unknown = Array.isArray(containers) ? containers[0] : undefined
    return String(field({ first }, 'first')['image'])
  }

  #templateAnnotations(set: KubeObject): Record<string, string> {
    const template = field(field(set, 'spec'), 'template')
    const pairs = Object.entries(field(field(template, 'metadata'), 'annotations'))
    return Object.fromEntries(pairs.map(([name, value]) => [name, String(value)]))
  }

  /** A backup was restored to it, and it starts for the first time. */
  #startsCluster({ clusterId, memberId }: Disk): boolean {
    if (!/^f\d$/.test(memberId) || this.#startedClusters.has(clusterId)) return false
    this.#startedClusters.add(clusterId)
    return true
  }

  settleMembers(): void {
    const running = this.all('Pod').flatMap((pod) => {
      const disk = this.diskOf(pod)
      if (field(pod, 'status')['phase'] !== 'Running') return []
      return disk !== undefined && disk.memberId !== '' ? [{ name: pod.metadata.name, disk }] : []
    })
    const restored = running.find(({ disk }) => this.#startsCluster(disk))
    if (restored !== undefined) {
      const host = `${restored.name}.${KEY.name}-headless.${KEY.namespace}.svc.cluster.local`
      this.cluster.startRestored(restored.disk, { name: restored.name, peerURLs: [`http://${host}:2380`] })
    }
    // Members of a cluster that was replaced are in nobody's configuration.
    const { clusterId } = this.cluster
    const own = running.filter(({ disk }) => disk.clusterId === clusterId)
    this.cluster.alive = new Map(own.map(({ disk }) => [disk.memberId, disk]))
    this.cluster.elect()
    for (const pod of this.all('Pod')) {
      if (field(pod, 'status')['phase'] !== 'Running') continue
      const { role } = this.cluster.status(this.diskOf(pod) ?? { clusterId: '', memberId: '', age: 0 }, '')
      const isReady =
        !this.unready.has(pod.metadata.name) && this.cluster.leader !== '' && (role === 'leader' || role === 'follower')
      const status = { ...field(pod, 'status'), conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] }
      this.objects.set(`Pod/${pod.metadata.name}`, { ...pod, status })
    }
  }
}

function ownerOf(set: KubeObject) {
  const { uid = '' } = set.metadata
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', name: KEY.name, uid, controller: true }
}

/** Of a StatefulSet that was deleted without its pods. */
const isOrphan = ({ metadata }: KubeObject): boolean => metadata.ownerReferences === undefined

/** One that is not is collected as garbage: its StatefulSet is gone. */
const isControlledBy = ({ metadata }: KubeObject, set: KubeObject | undefined): boolean =>
  set !== undefined && metadata.ownerReferences?.some(({ uid }) => uid === set.metadata.uid) === true
