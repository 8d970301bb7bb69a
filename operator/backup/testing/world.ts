/**
 * A world for backups: an API server that keeps objects, a controller of Jobs, pods that take backups into a bucket, and what may
 * happen to each. It checks what must never happen at the moment it would.
 */
import assert from 'node:assert/strict'
import { encodeBackupResult, isOlder } from '../../../lib/backup-result.ts'
import { timestamp } from '../../api/conditions.ts'
import { API_VERSION, KIND } from '../../api/raft-cluster.ts'
import { BACKUP_KIND, SCHEDULE_KIND } from '../../api/raft-backup.ts'
import {
  type ApplyObject,
  KubeError,
  type KubeObject,
  type KubeReader,
  type KubeWriter,
  type ListQuery,
} from '../../cluster/ports.ts'
import { BACKUP_LABEL } from '../job.ts'
import { type BackupDeps, reconcileBackups } from '../reconcile.ts'
import { CLUSTER_ID, Followers } from './followers.ts'

export const KEY = { namespace: 'ns', name: 'kv' }
const PLACE = 's3://backups/'

type Json = Readonly<Record<string, unknown>>

/** The operator's process ends here. */
export class Crash extends Error {}

/** What becomes of a call that changes something: `lost` is carried out, and nobody is told. */
export type Fate = 'done' | 'lost' | 'refused' | 'crash before' | 'crash after'

export interface Stored {
  readonly backupUid: string
  readonly revision: number
  readonly takenAt: string
}

export class BackupWorld implements KubeReader, KubeWriter {
  readonly objects = new Map<string, KubeObject>()
  readonly events: string[] = []
  readonly followers = new Followers(this)
  failures = 0
  gaps = 0
  /** Of the cluster. */
  revision = 10
  nowMs = Date.parse('2026-11-30T00:00:00Z')
  /** Backups that have been read back and are there. */
  bucket: Stored[] = []
  /** UIDs of RaftBackups whose backup was ever read back. */
  readonly readBack = new Set<string>()
  /** Of RaftBackups whose last backup was restored to try it, by UID: whether the cluster's HashKV came out. */
  readonly rehearsals = new Map<string, boolean>()
  isRestorable: () => boolean = () => true
  fate: () => Fate = () => 'done'
  #counter = 0

  constructor() {
    this.put({
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { ...KEY, uid: 'cluster-uid', generation: 1 },
      spec: { replicas: 3 },
      status: { clusterID: CLUSTER_ID, configIndex: 7, image: 'raftkv:1' },
    })
  }

  put(object: KubeObject): KubeObject {
    const version = String(++this.#counter)
    const {
      uid = `uid-${version}`,
      creationTimestamp = timestamp(this.nowMs),
      namespace = KEY.namespace,
    } = object.metadata
    const metadata = { ...object.metadata, namespace, uid, creationTimestamp, resourceVersion: version }
    const stored = { ...object, metadata }
    this.objects.set(`${object.kind}/${object.metadata.name}`, stored)
    return stored
  }

  all(kind: string): readonly KubeObject[] {
    return [...this.objects.values()].filter((object) => object.kind === kind)
  }

  /** By a user. */
  backup(name: string, spec: Json = {}): void {
    const destination = { s3: { bucket: 'backups' } }
    const whole = { clusterName: KEY.name, destination, ...spec }
    this.put({ apiVersion: API_VERSION, kind: BACKUP_KIND, metadata: { name, generation: 1 }, spec: whole })
  }

  schedule(name: string, spec: Json): void {
    const destination = { s3: { bucket: 'backups' } }
    const whole = { clusterName: KEY.name, destination, ...spec }
    const before = this.objects.get(`${SCHEDULE_KIND}/${name}`)
    this.put({
      apiVersion: API_VERSION,
      kind: SCHEDULE_KIND,
      metadata: { name, generation: 1 },
      ...before,
      spec: whole,
    })
  }

  /** What it owns goes with it, as a garbage collector does it at once; pods that run take their time. */
  remove(kind: string, name: string): void {
    const object = this.objects.get(`${kind}/${name}`)
    if (object !== undefined && phaseOf(object) === 'Running') return
    this.objects.delete(`${kind}/${name}`)
    for (const { kind, metadata } of this.objects.values())
      if (metadata.ownerReferences?.some(({ uid }) => uid === object?.metadata.uid)) this.remove(kind, metadata.name)
  }

  async look(): Promise<void> {
    const deps: BackupDeps = {
      reader: this,
      writer: this,
      events: { emit: (about, type, reason) => this.events.push(`${type} ${reason} ${about.kind}`) },
      nowMs: () => this.nowMs,
      defaultImage: 'raftkv:1',
      askFollower: (url) => this.followers.ask(url),
      onFailure: () => (this.failures += 1),
      onGap: () => (this.gaps += 1),
    }
    try {
      await reconcileBackups(deps, KEY)
    } catch (error) {
      if (!(error instanceof Crash)) throw error
    }
  }

  condition(
    kind: string,
    name: string,
    type: string,
  ): { readonly status?: string; readonly reason?: string; readonly message?: string } {
    const status = this.objects.get(`${kind}/${name}`)?.['status']
    const all: readonly Json[] = Object(status).conditions ?? []
    return all.find((condition) => condition['type'] === type) ?? {}
  }

  /** The controller of Jobs looks once. */
  runJobs(): void {
    for (const job of this.all('Job')) {
      if (isEnded(job) || this.podsOf(job).some((pod) => phaseOf(pod) === 'Running')) continue
      const pods = this.podsOf(job)
      const failed = pods.filter((pod) => phaseOf(pod) === 'Failed').length
      if (pods.some((pod) => phaseOf(pod) === 'Succeeded')) this.#end(job, 'Complete', '')
      else if (failed > Number(Object(job['spec']).backoffLimit)) this.#end(job, 'Failed', 'BackoffLimitExceeded')
      else this.#startPod(job, pods.length)
    }
  }

  podsOf(job: KubeObject): readonly KubeObject[] {
    return this.all('Pod').filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid === job.metadata.uid)
  }

  /** Those that take backups. */
  runningJobPods(): readonly KubeObject[] {
    const isOne = (pod: KubeObject): boolean => pod.metadata.labels?.[BACKUP_LABEL] !== undefined
    return this.all('Pod').filter((pod) => isOne(pod) && phaseOf(pod) === 'Running')
  }

  #startPod(job: KubeObject, index: number): void {
    const running = this.runningJobPods()
    assert.deepEqual(
      running.map(({ metadata }) => metadata.name),
      [],
      `two backups at a time: ${job.metadata.name}`,
    )
    const { name, uid = '', labels = {} } = job.metadata
    const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true }]
    const metadata = { name: `${name}-${index}`, labels, ownerReferences }
    this.put({ apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running' } })
  }

  #end(job: KubeObject, type: 'Complete' | 'Failed', reason: string): void {
    const at = timestamp(this.nowMs)
    const condition = { type, status: 'True', reason, message: `Job has ended`, lastTransitionTime: at }
    this.put({
      ...job,
      status: { startTime: job.metadata.creationTimestamp, completionTime: at, conditions: [condition] },
    })
  }

  /** Longer than its deadline: its pods are ended first. */
  expire(job: KubeObject): void {
    for (const pod of this.podsOf(job)) if (phaseOf(pod) === 'Running') this.endPod(pod, 1, '')
    this.#end(job, 'Failed', 'DeadlineExceeded')
  }

  endPod(pod: KubeObject, exitCode: number, message: string): void {
    const terminated = { exitCode, message, reason: exitCode === 0 ? 'Completed' : 'Error' }
    const containerStatuses = [{ name: 'tool', state: { terminated } }]
    this.put({ ...pod, status: { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses } })
  }

  /** As `backup take` does it, rehearsal and retention included. */
  takeBackup(pod: KubeObject): string {
    const backupUid = pod.metadata.labels?.[BACKUP_LABEL] ?? ''
    const taken: Stored = { backupUid, revision: this.revision, takenAt: new Date(this.nowMs).toISOString() }
    this.readBack.add(backupUid)
    this.bucket.push(taken)
    const isRehearsed = this.#flagOf(pod, '--rehearse') !== undefined
    const isVerified = this.isRestorable()
    if (isRehearsed) this.rehearsals.set(backupUid, isVerified)
    const keep = isRehearsed && !isVerified ? undefined : this.#keepOf(pod)
    if (keep !== undefined) this.bucket = this.bucket.toSorted((a, b) => (isOlder(a, b) ? 1 : -1)).slice(0, keep)
    const [oldest = taken] = this.bucket.toSorted((a, b) => (isOlder(a, b) ? -1 : 1))
    return encodeBackupResult({
      isReadBack: true,
      place: PLACE,
      name: `${CLUSTER_ID}/${taken.takenAt}-${taken.revision}`,
      clusterId: CLUSTER_ID,
      memberId: 'a1',
      revision: taken.revision,
      takenAt: taken.takenAt,
      version: '3.7.0',
      databaseBytes: 100,
      databaseSha256: 'a'.repeat(64),
      storedBytes: 10,
      ...(keep !== undefined && { oldest: { revision: oldest.revision, takenAt: oldest.takenAt } }),
      ...(isRehearsed && { rehearsal: { isVerified, message: isVerified ? 'the same' : 'another HashKV' } }),
    })
  }

  #keepOf(pod: KubeObject): number | undefined {
    const flag = this.#flagOf(pod, '--keep')
    return flag === undefined ? undefined : Number(flag)
  }

  #flagOf(pod: KubeObject, name: string): string | undefined {
    const job = this.all('Job').find(({ metadata }) => metadata.uid === pod.metadata.ownerReferences?.[0]?.uid)
    const args: readonly string[] = Object(job?.['spec']).template?.spec.containers[0].args ?? []
    return args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1)
  }

  get({ kind, name }: { readonly kind: string; readonly name: string }): Promise<KubeObject | undefined> {
    return Promise.resolve(this.objects.get(`${kind}/${name}`))
  }

  list({ kind, labelSelector = '' }: ListQuery): Promise<readonly KubeObject[]> {
    const wanted = labelSelector === '' ? [] : labelSelector.split(',').map((one) => one.split('='))
    return Promise.resolve(
      this.all(kind).filter(({ metadata }) => wanted.every(([key = '', value]) => metadata.labels?.[key] === value)),
    )
  }

  tryCreate(): Promise<void> {
    return Promise.reject(new Error('nothing is tried'))
  }

  apply(object: ApplyObject): Promise<KubeObject> {
    return this.#change(() => {
      const present = this.objects.get(`${object.kind}/${object.metadata.name}`)
      const { uid } = object.metadata
      if (uid !== undefined && uid !== present?.metadata.uid) throw conflict('another one')
      this.followers.checkApply(object, present)
      const { creationTimestamp, uid: known } = present?.metadata ?? {}
      const kept = { ...(creationTimestamp !== undefined && { creationTimestamp }), ...(known !== undefined && { uid: known }) } // prettier-ignore
      return this.put({ ...object, metadata: { ...object.metadata, ...kept } })
    })
  }

  patch(): Promise<KubeObject> {
    return Promise.reject(new Error('nothing is patched'))
  }

  create(object: ApplyObject): Promise<KubeObject> {
    return this.#change(() => {
      if (this.objects.has(`${object.kind}/${object.metadata.name}`)) throw conflict('already exists')
      if (object.kind === 'Job') {
        const open = this.all('Job').filter((job) => !isEnded(job))
        assert.deepEqual(
          open.map(({ metadata }) => metadata.name),
          [],
          'two Jobs at a time',
        )
      }
      return this.put(object)
    })
  }

  applyStatus(object: ApplyObject): Promise<KubeObject> {
    return this.#change(() => {
      const { kind, metadata } = object
      const present = this.objects.get(`${kind}/${metadata.name}`)
      if (present === undefined) throw new KubeError({ kind: 'not-found', message: 'not found' })
      const { resourceVersion, uid } = metadata
      if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion)
        throw conflict('edited')
      if (uid !== undefined && uid !== present.metadata.uid) throw conflict('another one')
      const status = kind === KIND ? { ...Object(present['status']), ...Object(object['status']) } : object['status']
      const stored = this.put({ ...present, status })
      if (kind === BACKUP_KIND) this.#checkStatus(present, stored)
      if (kind === SCHEDULE_KIND) {
        this.followers.checkStatus(object['status'])
        this.#checkVerified(Object(object['status']).lastVerified?.name)
      }
      return stored
    })
  }

  #checkStatus(before: KubeObject, after: KubeObject): void {
    const isSo = (object: KubeObject, type: string): boolean =>
      (Object(object['status']).conditions ?? []).some((one: Json) => one['type'] === type && one['status'] === 'True')
    const { name, uid = '' } = after.metadata
    if (isSo(after, 'Complete')) assert(this.readBack.has(uid), `${name} counts, and was never read back`)
    const { verified } = Object(after['status'])
    if (verified === true)
      assert.equal(this.rehearsals.get(uid), true, `${name} is verified, and could not be restored`)
    assert(!(isSo(after, 'Complete') && isSo(after, 'Failed')), `${name} is complete and has failed`)
    for (const type of ['Complete', 'Failed'])
      if (isSo(before, type)) assert.deepEqual(after['status'], before['status'], `${name} had ended`)
  }

  #checkVerified(name: string | undefined): void {
    const uid = this.objects.get(`${BACKUP_KIND}/${name}`)?.metadata.uid
    if (uid !== undefined) assert.equal(this.rehearsals.get(uid), true, `${name} could not be restored`)
  }

  delete(ref: { readonly kind: string; readonly name: string }, { uid }: { readonly uid: string }): Promise<void> {
    return this.#change(() => {
      const present = this.objects.get(`${ref.kind}/${ref.name}`)
      if (present === undefined) return
      if (present.metadata.uid !== uid) throw conflict('another one')
      const isThere = this.bucket.some(({ backupUid }) => backupUid === uid)
      const isCounted = this.condition(ref.kind, ref.name, 'Complete').status === 'True'
      assert(!(isThere && isCounted), `${ref.name} is forgotten, and its data is there`)
      this.remove(ref.kind, ref.name)
    })
  }

  async #change<Value>(act: () => Value): Promise<Value> {
    await Promise.resolve()
    const fate = this.fate()
    if (fate === 'crash before') throw new Crash()
    if (fate === 'refused') throw new KubeError({ kind: 'forbidden', message: 'exceeded quota' })
    const value = act()
    if (fate === 'crash after') throw new Crash()
    if (fate === 'lost') throw new KubeError({ kind: 'unavailable', message: 'no answer' })
    return value
  }
}

function conflict(message: string): KubeError {
  return new KubeError({ kind: 'conflict', message })
}

export function isEnded(job: KubeObject): boolean {
  return (Object(job['status']).conditions ?? []).length > 0
}

function phaseOf(pod: KubeObject): unknown {
  return Object(pod['status']).phase
}
