/**
 * A world for the operator: an API server that keeps objects, a StatefulSet controller that is as slow as `tick` is rare,
 * and members that do what they are told. It checks what must never happen at the moment it would.
 */
import assert from 'node:assert/strict'
import type { AdminError, AdminStatus } from '../../../lib/admin-api.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { API_VERSION, KIND } from '../../api/raft-cluster.ts'
import {
  type AdminClient,
  type AdminIdentity,
  type AdminFailure,
  type ApplyObject,
  KubeError,
  type KubeObject,
  type KubeReader,
  type KubeWriter,
  type ListQuery,
  type ObjectRef,
  type ReconcileDeps,
} from '../ports.ts'
import { FORMS } from '../resources/forms.ts'
import { CLUSTER_UID_LABEL, ordinalOf } from '../resources/names.ts'
import { quorumOf } from '../safety.ts'
import { type Disk, FakeCluster } from './fake-cluster.ts'
import { FakeUsers } from './fake-users.ts'
import { type Caller, hasOnly, obstacleBetween, obstacleFor, reportOf, type Talker, talkerOf } from './fake-tls.ts'
import { contentOf, MountedSecrets } from './mounted-secrets.ts'

export const KEY = { namespace: 'ns', name: 'kv' }
const UNREACHABLE = { kind: 'unreachable', message: 'connection refused' } as const

/** The operator's process ends here: a reconcile that goes on after it does so in vain. */
export class Crash extends Error {}

type Json = Readonly<Record<string, unknown>>

/** A call to the API server; no name where all of a kind are listed. */
export interface ApiCall {
  readonly verb: 'get' | 'list' | 'apply' | 'apply status' | 'create' | 'delete' | 'patch'
  readonly kind: string
  readonly name: string
}

export class World {
  readonly objects = new Map<string, KubeObject>()
  readonly disks = new Map<string, Disk>()
  readonly cluster = new FakeCluster()
  readonly users = new FakeUsers()
  readonly events: string[] = []
  /** Pods that the operator deleted, in order. */
  readonly restarts: string[] = []
  /** Fields of status that the API server does not know. */
  readonly prunedStatus = new Set<string>()
  /** By pod: what its member says instead. */
  readonly lies = new Map<string, Partial<AdminStatus>>()
  /** Pods whose members the operator cannot reach; others can. */
  readonly unreachable = new Set<string>()
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
  readonly #mounts = new MountedSecrets()
  /** Sides that lost what no certificate in use can be followed by without a gap, as a CA and the bundle that has it: until others have come, who talks to whom is a matter of luck. */
  readonly excused = new Set<'peer' | 'client'>()
  #application: Caller | undefined
  #applicationReadMs = -Infinity
  /** Works beside the operator, after each of its looks. */
  beside: (() => Promise<void>) | undefined
  /** Kinds that the operator may not touch. */
  readonly forbidden = new Set<string>()
  /** What the Job that restores a backup says when it fails; undefined: it does what it should. */
  restoreProblem: string | undefined
  /** Volumes that a backup was restored to, by UID. */
  readonly restored: string[] = []
  /** Calls to the API server so far. */
  readonly calls: ApiCall[] = []
  /** What becomes of a call instead of its effect. */
  answer: (call: ApiCall) => Error | undefined = () => undefined
  defaultImage = 'image:1'
  /** What the operator's build knows. */
  forms = FORMS
  nowMs = Date.parse('2030-01-01T00:00:00Z')
  clusterIds = new Set<string>()
  #counter = 0

  constructor(spec: Json) {
    this.put({ apiVersion: API_VERSION, kind: KIND, metadata: { ...KEY, uid: 'cluster-uid', generation: 1 }, spec })
  }

  get(kind: string, name: string): KubeObject | undefined {
    return this.objects.get(`${kind}/${name}`)
  }

  put(object: KubeObject): KubeObject {
    const version = String(++this.#counter)
    const uid = object.metadata.uid ?? `uid-${version}`
    const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion: version } }
    this.objects.set(`${object.kind}/${object.metadata.name}`, stored)
    return stored
  }

  all(kind: string): readonly KubeObject[] {
    return [...this.objects.values()].filter((object) => object.kind === kind)
  }

  resource(): KubeObject {
    const object = this.get(KIND, KEY.name)
    assert(object !== undefined)
    return object
  }

  status(): Json {
    return field(this.resource(), 'status')
  }

  edit(spec: Json): void {
    const object = this.resource()
    const generation = (object.metadata.generation ?? 0) + 1
    this.put({ ...object, metadata: { ...object.metadata, generation }, spec: { ...field(object, 'spec'), ...spec } })
  }

  replicas(): number {
    return Number(field(this.get('StatefulSet', KEY.name), 'spec')['replicas'] ?? 0)
  }

  /** Ordinals whose pods the StatefulSet has. */
  ordinals(): readonly number[] {
    return ordinalsOf(field(this.get('StatefulSet', KEY.name), 'spec'))
  }

  setReplicas(replicas: number): void {
    const set = this.get('StatefulSet', KEY.name)
    if (set !== undefined) this.put({ ...set, spec: { ...field(set, 'spec'), replicas } })
  }

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
    const set = this.get('StatefulSet', KEY.name)
    for (const pod of this.all('Pod')) {
      const ordinal = ordinalOf(KEY.name, pod.metadata.name)
      if (ordinal === undefined) continue
      const { phase } = field(pod, 'status')
      const isOver = phase === 'Succeeded' || phase === 'Failed'
      if (set === undefined || !this.ordinals().includes(ordinal) || isOver) this.#stopPod(pod)
      else if (pod.metadata.deletionTimestamp !== undefined) this.#stopPod(pod)
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
    this.settleMembers()
    this.#checkTalk()
  }

  /** As the tool does it: a volume that has the cluster is left alone, and one that has another is refused. */
  #runRestore(): void {
    const job = this.get('Job', `${KEY.name}-restore`)
    const isOurs = job?.metadata.ownerReferences?.[0]?.uid === this.resource().metadata.uid
    if (job === undefined || !isOurs || field(job, 'status')['conditions'] !== undefined) return
    const volume = this.get('PersistentVolumeClaim', `data-${KEY.name}-0`)
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
    assert(this.get('Pod', `${KEY.name}-0`) === undefined, 'nobody uses a volume that is being filled')
    Object.assign(disk, { clusterId, memberId: 'f1', age: 9 })
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

  #stopPod(pod: KubeObject): void {
    const { name, deletionTimestamp = new Date(this.nowMs).toISOString() } = pod.metadata
    if (this.lingering.has(name)) this.put({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } })
    else this.objects.delete(`Pod/${name}`)
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
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      name: KEY.name,
      uid: set.metadata.uid ?? '',
      controller: true,
    }
    const pod = this.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, ownerReferences: [owner], annotations: this.#templateAnnotations(set) },
      spec: field(field(field(set, 'spec'), 'template'), 'spec'),
      status: this.broken.has(this.#imageOf(set)) ? { phase: 'Pending' } : { phase: 'Running', podIP: name },
    })
    this.#mounts.look(pod, this.#secret)
    this.#publish(pod)
  }

  /** A member that starts with other peer URLs than its record says makes them known. */
  #publish(pod: KubeObject): void {
    const { name } = pod.metadata
    const { known } = this.talker('peer', pod, false)
    this.cluster.members = this.cluster.members.map((member) =>
      member.name === name
        ? { ...member, peerURLs: member.peerURLs.map((url) => url.replace(/^https?/, known)) }
        : member,
    )
  }

  /** How a pod's member talks; `asKnown`: by its record. */
  talker(side: 'peer' | 'client', pod: KubeObject, asKnown = true): Talker {
    const containers: unknown = field(pod, 'spec')['containers']
    const args: unknown = field({ first: Array.isArray(containers) ? containers[0] : {} }, 'first')['args']
    const record = this.cluster.members.find(({ name }) => name === pod.metadata.name)?.peerURLs[0]
    const known = record === undefined ? undefined : record.startsWith('https') ? 'https' : 'http'
    return talkerOf(
      side,
      pod.metadata.name,
      Array.isArray(args) ? args.map(String) : [],
      this.#mounts.of(pod),
      asKnown && side === 'peer' ? known : undefined,
    )
  }

  /** Any two that run can dial each other, by the scheme of the record and with certificates that the other trusts; so can applications dial each. */
  #checkTalk(): void {
    this.#endExcuses()
    const running = this.all('Pod').filter((pod) => field(pod, 'status')['phase'] === 'Running')
    const peers = this.excused.has('peer') ? [] : running.map((pod) => this.talker('peer', pod))
    for (const from of peers)
      for (const to of peers)
        if (from !== to) assert.equal(obstacleBetween(from, to, this.nowMs), undefined, 'members must be able to talk')
    this.#readAsApplication()
    const served = this.excused.has('client') ? [] : running.map((pod) => this.talker('client', pod))
    for (const to of served)
      assert.equal(obstacleFor(this.#application, to, this.nowMs), undefined, 'applications must be served')
  }

  /** Once in a minute, as a kubelet does. */
  #readAsApplication(): void {
    if (this.nowMs - this.#applicationReadMs < 60_000) return
    const content = contentOf(this.get('Secret', `${KEY.name}-client-tls`))
    const { 'ca.crt': trusted = '', 'tls.crt': certificate = '', 'tls.key': key = '' } = content ?? {}
    if (trusted === '' || certificate === '') return
    this.#application = { trusted, certificate, key }
    this.#applicationReadMs = this.nowMs
  }

  /** Once everybody is of the one CA that is left. */
  #endExcuses(): void {
    for (const side of this.excused) {
      const bundle = contentOf(this.get('Secret', `${KEY.name}-${side === 'peer' ? 'peer' : 'server'}-tls`))?.['ca.crt']
      const talkers = this.all('Pod').map((pod) => this.talker(side, pod))
      if (!talkers.every((talker) => hasOnly(talker, bundle ?? ''))) continue
      this.excused.delete(side)
      this.#applicationReadMs = -Infinity
    }
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

  annotate(annotations: Readonly<Record<string, string>>): void {
    const object = this.resource()
    this.put({ ...object, metadata: { ...object.metadata, annotations } })
  }

  settleMembers(): void {
    const running = this.all('Pod').flatMap((pod) => {
      const disk = this.diskOf(pod)
      if (field(pod, 'status')['phase'] !== 'Running') return []
      return disk !== undefined && disk.memberId !== '' ? [[disk.memberId, disk] as const] : []
    })
    const restored = running.find(([id]) => id === 'f1')
    if (restored !== undefined && this.cluster.clusterId === '') {
      const peerURLs = [`http://${KEY.name}-0.${KEY.name}-headless.${KEY.namespace}.svc.cluster.local:2380`]
      this.cluster.startRestored(restored[1], { name: `${KEY.name}-0`, peerURLs })
    }
    this.cluster.alive = new Map(running)
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

  /** `before` and `after` are called around each change: where a process may end, or an answer get lost. */
  deps(given: Hooks): ReconcileDeps {
    const hooks = mortal(given)
    return {
      reader: this.#reader(),
      writer: this.#writer(hooks),
      events: { emit: (_about, _type, reason) => void this.events.push(reason) },
      admin: this.#admin(hooks),
      adminUrl: ({ podName }) => podName,
      users: this.users,
      clientUrl: ({ podName }) => podName,
      nowMs: () => this.nowMs,
      randomBytes: (count) => Buffer.alloc(count, ++this.#counter),
      defaultImage: this.defaultImage,
      operatorPods: undefined,
      forms: this.forms,
      signal: new AbortController().signal,
    }
  }

  #reader(): KubeReader {
    return {
      get: (ref) => this.#read({ verb: 'get', ...ref }, () => this.get(ref.kind, ref.name)),
      list: (query) =>
        this.#read({ verb: 'list', ...query, name: '' }, () => this.all(query.kind).filter(regarding(query))),
      tryCreate: (object) => this.#tryCreate(object),
    }
  }

  /** Nothing admits pods here but `answer`. */
  async #tryCreate({ kind, metadata }: ApplyObject): Promise<void> {
    this.#called({ verb: 'create', kind, name: metadata.name })
  }

  async #read<T>(call: ApiCall & { readonly namespace: string }, read: () => T): Promise<T> {
    const { kind, namespace } = call
    assert.equal(namespace, KEY.namespace, 'nothing of another namespace is looked at')
    this.#called(call)
    const verb = `cannot read resource "${kind}" in the namespace "${namespace}"`
    if (this.forbidden.has(kind)) throw new KubeError({ kind: 'forbidden', message: `User "operator" ${verb}` })
    return read()
  }

  #writer(hooks: Hooks): KubeWriter {
    const change = <T>(verb: ApiCall['verb'], kind: string, name: string, effect: () => T): Promise<T> =>
      around(hooks, 'kube', () => {
        this.#called({ verb, kind, name })
        return effect()
      })
    return {
      apply: (object) => change('apply', object.kind, object.metadata.name, () => this.#apply(object)),
      applyStatus: (object) =>
        change('apply status', object.kind, object.metadata.name, () => this.#applyStatus(object)),
      create: (object) => change('create', object.kind, object.metadata.name, () => this.#create(object)),
      delete: (ref, { uid }) => change('delete', ref.kind, ref.name, () => this.#delete(ref, uid)),
      patch: ({ kind, name }, { metadata, spec }) =>
        change('patch', kind, name, () => {
          const object = this.get(kind, name)
          assert(object !== undefined)
          if (metadata.uid !== undefined) assert.equal(metadata.uid, object.metadata.uid)
          if (kind === 'StatefulSet') this.#checkOrdinals(spec ?? {})
          const merged = { ...object.metadata, ...metadata }
          return this.put({ ...object, metadata: merged, spec: { ...field(object, 'spec'), ...spec } })
        }),
    }
  }

  #called(call: ApiCall): void {
    this.calls.push(call)
    const error = this.answer(call)
    if (error !== undefined) throw error
  }

  #apply(object: ApplyObject): KubeObject {
    assert.equal(object.metadata.namespace, KEY.namespace)
    if (this.forbidden.has(`apply ${object.kind}`))
      throw new KubeError({ kind: 'forbidden', message: `User "operator" cannot patch resource "${object.kind}"` })
    const present = this.get(object.kind, object.metadata.name)
    const { resourceVersion = present?.metadata.resourceVersion } = object.metadata
    if (resourceVersion !== present?.metadata.resourceVersion)
      throw new KubeError({ kind: 'conflict', message: 'changed' })
    if (object.kind === 'StatefulSet') this.#checkOrdinals(field(object, 'spec'))
    return this.put({ ...present, ...object, metadata: { ...present?.metadata, ...object.metadata } })
  }

  #create(object: ApplyObject): KubeObject {
    if (this.get(object.kind, object.metadata.name) !== undefined)
      throw new KubeError({ kind: 'conflict', message: 'already exists' })
    if (object.kind !== 'PersistentVolumeClaim') return this.put(object)
    const volume = this.put({ ...object, status: { capacity: { storage: '10Gi' } } })
    this.disks.set(volume.metadata.uid ?? '', { clusterId: '', memberId: '', age: 0 })
    return volume
  }

  #checkOrdinals(set: Json): void {
    const voters = this.cluster.members.filter(({ id }) => this.cluster.voters.includes(id))
    const ordinals = new Set(ordinalsOf(set))
    const isAsleep = field(this.resource(), 'spec')['replicas'] === 0
    const isKept = voters.every(({ name }) => ordinals.has(ordinalOf(KEY.name, name) ?? -1))
    assert(isAsleep || isKept, 'no voter loses its pod by a count')
  }

  #applyStatus(object: ApplyObject): KubeObject {
    const present = this.resource()
    if (object.metadata.resourceVersion !== present.metadata.resourceVersion)
      throw new KubeError({ kind: 'conflict', message: 'changed' })
    const [before, after] = [field(present, 'status')['clusterID'], field(object, 'status')['clusterID']]
    assert(before === undefined || before === after, 'invariant 14: one cluster ID for one RaftCluster')
    if (typeof after === 'string') this.clusterIds.add(after)
    const kept = Object.entries(field(object, 'status')).filter(([name]) => !this.prunedStatus.has(name))
    return this.put({ ...present, status: Object.fromEntries(kept) })
  }

  #delete(ref: ObjectRef, uid: string): void {
    const present = this.get(ref.kind, ref.name)
    if (present === undefined) return
    if (present.metadata.uid !== uid) throw new KubeError({ kind: 'conflict', message: 'another UID' })
    if (ref.kind === 'Pod') this.#stopped(present)
    if (ref.kind === 'Pod' && this.lingering.has(ref.name)) return this.#stopPod(present)
    if (ref.kind !== 'PersistentVolumeClaim') {
      this.objects.delete(`${ref.kind}/${ref.name}`)
      this.settleMembers()
      return
    }
    const memberId = this.disks.get(uid)?.memberId ?? ''
    const isDeleted = this.resource().metadata.deletionTimestamp !== undefined
    assert(isDeleted || !this.cluster.voters.includes(memberId), 'invariant 13: the volume of a voter is deleted')
    this.put({ ...present, metadata: { ...present.metadata, deletionTimestamp: '2030-01-01T00:00:00Z' } })
  }

  /** What the operator stops by itself must not be missed. */
  #stopped(pod: KubeObject): void {
    const { voters, alive, leader } = this.cluster
    const id = this.diskOf(pod)?.memberId ?? ''
    this.restarts.push(pod.metadata.name)
    const isCounted = voters.includes(id) && alive.has(id) && voters.length > 2
    if (!isCounted || leader === '') return
    if (this.refusingToken.has(pod.metadata.name)) return
    assert.notEqual(id, leader, 'leadership moves before its pod is restarted')
    const healthy = voters.filter((voter) => alive.has(voter)).length
    assert(healthy - 1 >= quorumOf(voters.length), 'a restart must not cost the quorum')
  }

  readonly #secret = (name: string): KubeObject | undefined => this.get('Secret', name)

  #admin(hooks: Hooks, identity?: AdminIdentity): AdminClient {
    const isServed = (pod: KubeObject): boolean =>
      obstacleFor(identity, this.talker('client', pod), this.nowMs) === undefined
    const call = <T>(url: string, effect: (disk: Disk) => Result<T, AdminError>): Promise<Result<T, AdminFailure>> =>
      around(hooks, 'admin', () => {
        const pod = this.get('Pod', url)
        const disk = pod && this.diskOf(pod)
        if (pod === undefined || disk === undefined || !isServed(pod)) return err(UNREACHABLE)
        if (this.refusingToken.has(url))
          return err({ kind: 'refused', error: { code: 'Unauthorized', message: 'no' } } as const)
        const result = effect(disk)
        this.settleMembers()
        return result.ok ? result : err({ kind: 'refused', error: result.error } as const)
      })
    return {
      status: (url) => {
        const pod = this.get('Pod', url)
        const disk = pod && this.diskOf(pod)
        if (pod === undefined || disk === undefined || this.unreachable.has(url) || !isServed(pod))
          return Promise.resolve(err(UNREACHABLE))
        const [peer, client] = [reportOf(this.talker('peer', pod)), reportOf(this.talker('client', pod))]
        const tls = { ...(peer !== undefined && { peer }), ...(client !== undefined && { client }) }
        return Promise.resolve(ok({ ...this.cluster.status(disk, url), tls, ...this.lies.get(url) }))
      },
      bootstrap: (url, token, request) =>
        call(url, (disk) => {
          assert.notEqual(token, '', 'the token is known')
          assert.equal(request.clusterId, this.status()['clusterID'], 'the cluster ID is recorded before it is used')
          return this.cluster.bootstrap(request.operationId, request.clusterId, request.member, disk)
        }),
      join: (url, _token, request) =>
        call(url, (disk) => {
          if (disk.memberId !== '' && disk.memberId !== request.memberId)
            return err({ code: 'Conflict', message: 'another member' })
          Object.assign(disk, { clusterId: request.clusterId, memberId: request.memberId })
          return ok({
            operationId: request.operationId,
            memberId: request.memberId,
            clusterId: request.clusterId,
            configIndex: this.cluster.configIndex,
          })
        }),
      recover: (url, _token, request) => call(url, (disk) => this.cluster.recover(request, disk)),
      secured: (shown) => this.#admin(hooks, shown),
      membership: (url, _token, request) => call(url, () => this.cluster.change(request)),
      transferLeader: (url, _token, { operationId, memberId }) =>
        call(url, () => {
          const moved = this.cluster.transfer(memberId)
          return moved.ok ? ok({ operationId, leader: moved.value, term: this.cluster.term }) : moved
        }),
    }
  }
}

export interface Hooks {
  before?(what: 'kube' | 'admin'): void | Promise<void>
  after?(what: 'kube' | 'admin'): void
}

/** After a crash nothing is done any more, whatever the reconcile would still do. */
function mortal(hooks: Hooks): Hooks {
  let end: Crash | undefined
  const step = (hook: () => void | Promise<void>): void | Promise<void> => {
    if (end !== undefined) throw end
    try {
      return hook()
    } catch (error) {
      if (error instanceof Crash) end = error
      throw error
    }
  }
  return { before: (what) => step(() => hooks.before?.(what)), after: (what) => void step(() => hooks.after?.(what)) }
}

async function around<T>(hooks: Hooks, what: 'kube' | 'admin', effect: () => T): Promise<T> {
  await hooks.before?.(what)
  const result = effect()
  hooks.after?.(what)
  return result
}

function ordinalsOf(set: Json): readonly number[] {
  const start = Number(field(set, 'ordinals')['start'] ?? 0)
  return Array.from({ length: Number(set['replicas'] ?? 0) }, (_, index) => start + index)
}

export function field(object: object | undefined, name: string): Json {
  const value: unknown = object === undefined ? undefined : Reflect.get(object, name)
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}

/** The one field selector that the operator uses. */
function regarding({ fieldSelector }: ListQuery): (object: KubeObject) => boolean {
  if (fieldSelector === undefined) return () => true
  const uid = /^regarding\.uid=(.+)$/.exec(fieldSelector)?.[1]
  assert(uid !== undefined, `a field selector that is not known here: ${fieldSelector}`)
  return (object) => field(object, 'regarding')['uid'] === uid
}
