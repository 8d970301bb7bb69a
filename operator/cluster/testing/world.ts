/**
 * A world for the operator: an API server that keeps objects, and members that do what they are told. It checks what must
 * never happen at the moment it would.
 */
import assert from 'node:assert/strict'
import type { AdminError, AdminStatus } from '../../../lib/admin-api.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
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
import { ordinalOf } from '../resources/names.ts'
import { quorumOf } from '../safety.ts'
import type { Disk } from './fake-cluster.ts'
import { obstacleFor, reportOf } from './fake-tls.ts'
import { FakeUsers } from './fake-users.ts'
import { around, type Hooks, mortal } from './hooks.ts'
import { Machines } from './machines.ts'
import { field, type Json, KEY, ordinalsOf } from './objects.ts'

const UNREACHABLE = { kind: 'unreachable', message: 'connection refused' } as const

/** A call to the API server; no name where all of a kind are listed. */
export interface ApiCall {
  readonly verb: 'get' | 'list' | 'apply' | 'apply status' | 'create' | 'delete' | 'patch'
  readonly kind: string
  readonly name: string
}

export class World extends Machines {
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
  /** Kinds that the operator may not touch. */
  readonly forbidden = new Set<string>()
  /** Calls to the API server so far. */
  readonly calls: ApiCall[] = []
  /** What becomes of a call instead of its effect. */
  answer: (call: ApiCall) => Error | undefined = () => undefined
  defaultImage = 'image:1'
  /** What the operator's build knows. */
  forms = FORMS
  clusterIds = new Set<string>()
  /** Works beside the operator, after each of its looks. */
  beside: (() => Promise<void>) | undefined

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
      randomBytes: (count) => Buffer.alloc(count, this.count()),
      crypto: globalThis.crypto,
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
        this.#read({ verb: 'list', ...query, name: '' }, () =>
          this.all(query.kind).filter(regarding(query)).filter(restoringOrNot(query)),
        ),
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
    const isScaledToZero = field(this.resource(), 'spec')['replicas'] === 0
    const isKept = voters.every(({ name }) => ordinals.has(ordinalOf(KEY.name, name) ?? -1))
    // Of a cluster whose RaftCluster was deleted nobody has one.
    const isGone =
      this.get('StatefulSet', KEY.name) === undefined && voters.every(({ name }) => this.get('Pod', name) === undefined)
    const isReplaced = this.cluster.clusterId !== '' && this.cluster.clusterId !== this.status()['clusterID']
    assert(isScaledToZero || isGone || isReplaced || isKept, 'no voter loses its pod by a count')
  }

  #applyStatus(object: ApplyObject): KubeObject {
    const present = this.resource()
    if (object.metadata.resourceVersion !== present.metadata.resourceVersion)
      throw new KubeError({ kind: 'conflict', message: 'changed' })
    const [was, is] = [field(present, 'status'), field(object, 'status')]
    const [before, after] = [was['clusterID'], is['clusterID']]
    const isReplaced = field(was, 'operation')['step'] === 'Restore' && field(is, 'operation')['type'] === 'Recover'
    const isSame = before === undefined || before === after || isReplaced
    assert(isSame, 'invariant 14: one cluster ID for one RaftCluster, until a backup is restored in its place')
    if (typeof after === 'string') this.clusterIds.add(after)
    const kept = Object.entries(field(object, 'status')).filter(([name]) => !this.prunedStatus.has(name))
    return this.put({ ...present, status: Object.fromEntries(kept) })
  }

  #delete(ref: ObjectRef, uid: string): void {
    const present = this.get(ref.kind, ref.name)
    if (present === undefined) return
    if (present.metadata.uid !== uid) throw new KubeError({ kind: 'conflict', message: 'another UID' })
    if (ref.kind === 'Pod') this.#stopped(present)
    if (ref.kind === 'Pod' && this.lingering.has(ref.name)) return this.stopPod(present)
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
      keepUp: (url, _token, request) => call(url, (disk) => this.cluster.keepUp(disk.memberId, request)),
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

/** The one field selector that the operator uses. */
function regarding({ fieldSelector }: ListQuery): (object: KubeObject) => boolean {
  if (fieldSelector === undefined) return () => true
  const uid = /^regarding\.uid=(.+)$/.exec(fieldSelector)?.[1]
  assert(uid !== undefined, `a field selector that is not known here: ${fieldSelector}`)
  return (object) => field(object, 'regarding')['uid'] === uid
}

/** Pods of members have no labels here; those of the Job that restores have theirs. */
function restoringOrNot({ kind, labelSelector = '' }: ListQuery): (object: KubeObject) => boolean {
  const tool = 'raftkv-restore'
  if (kind !== 'Pod' || labelSelector === '') return () => true
  return ({ metadata }) => (metadata.labels?.['app.kubernetes.io/name'] === tool) === labelSelector.includes(tool)
}
