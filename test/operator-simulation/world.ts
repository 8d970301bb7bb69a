/** Everything that one run shares: time, chance, Kubernetes, the members, the operators, the oracle, what has happened. */
import { FINALIZER } from '../../operator/api/raft-cluster.ts'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import { Schedule } from '../../node-server/raft/testing/schedule.ts'
import { EventLog } from '../simulation/event-log.ts'
import { ApiServer, type StoredObject } from './api-server.ts'
import { EARLIER } from './builds.ts'
import { Controllers } from './controllers.ts'
import { Coverage } from './coverage.ts'
import { type Faults, NO_FAULTS } from './faults.ts'
import { at, isEqual, type Json, numberAt, textAt } from './json.ts'
import { Kubelet } from './kubelet.ts'
import { MemberTls } from './member-tls.ts'
import { OperatorProcess } from './operator-process.ts'
import { Oracle } from './oracle.ts'
import { MemberStores } from './member-stores.ts'
import { RaftCluster } from './raft-cluster.ts'
import { isTool, Restores } from './restores.ts'
import { hasTls } from './tls-edits.ts'
import type { Refusal } from './refusal.ts'

const EPOCH_MS = Date.UTC(2030, 0, 1)
const RAFT_TURN_MS = 250
const REPLICAS = ['op-a', 'op-b']

export interface CrashPoint {
  /** Counted from 1. */
  readonly call: number
  readonly when: 'before' | 'after'
}

export class World {
  readonly name = 'kv'
  readonly schedule = new Schedule()
  readonly random: Random
  readonly coverage = new Coverage()
  readonly log = new EventLog(() => this.schedule.now)
  readonly faults: Faults = { ...NO_FAULTS }
  readonly server: ApiServer
  readonly kubelet: Kubelet
  readonly controllers: Controllers
  /** Members may come to talk TLS. */
  readonly hasTls: boolean
  /** Of what is about TLS alone. */
  readonly tlsRandom: Random
  readonly tls: MemberTls
  raft: RaftCluster
  readonly stores: MemberStores
  readonly restores: Restores
  readonly oracle: Oracle
  readonly operators = new Map<string, OperatorProcess>()
  /** Of the operators that start from now on. */
  build = EARLIER
  reconciles = 0
  /** Mutating calls of operators so far. */
  calls = 0
  failure: Error | undefined
  /** The user deleted the RaftCluster for good. */
  isDeletionWanted = false
  /** What is to happen in the very moment in which the next addition of a member is recorded, before it is carried out. */
  onNextAddition: (() => void) | undefined
  /** What is to happen when the next member has been added, before anybody can say so. */
  onNextAdded: (() => void) | undefined
  /** So long the next operator that calls stands still once its call took effect; 0: it does not. */
  pauseAfterNextCallMs = 0
  /** What the API server refuses at the moment. */
  refusal: Refusal | undefined
  /** No fault begins after it. */
  faultsEndMs = Infinity
  /** Quorums lost for good so far. */
  recoveries = 0
  /** Volumes outlive the deletion. */
  isVolumeKept = true
  /**
   * Made after the operator had let go of the RaftCluster, which had all its volumes: a deletion before the next look leaves them. By UID.
   */
  readonly lateVolumes = new Set<string>()
  readonly #crash: CrashPoint | undefined
  #wasLetGo = false
  #ids = 0

  constructor(seed: number, crash?: CrashPoint) {
    this.hasTls = hasTls(seed)
    this.random = seeded(seed)
    this.#crash = crash
    this.server = new ApiServer(() => this.wallMs())
    this.kubelet = new Kubelet(this)
    this.controllers = new Controllers(this)
    this.tlsRandom = seeded(~seed)
    this.tls = new MemberTls(this)
    this.raft = new RaftCluster(this)
    this.stores = new MemberStores(this, seed)
    this.restores = new Restores(this, seed)
    this.oracle = new Oracle(this)
    this.server.onChange = (before, after) => this.#changed(before, after)
    this.#turn()
  }

  startOperators(count: number): void {
    for (const name of REPLICAS.slice(0, count)) if (!this.operators.has(name)) this.#startOperator(name)
  }

  /** A new process of the same replica, as Kubernetes restarts it. */
  operatorEnded(process: OperatorProcess): void {
    this.schedule.after(200 + this.random.below(1500), () => this.#startOperator(process.name))
  }

  wallMs(): number {
    return EPOCH_MS + this.stores.startsLateMs + this.schedule.now
  }

  nextId(): number {
    return ++this.#ids
  }

  /** Whether this very call is where the run is to end the operator. */
  isCrashPoint(when: CrashPoint['when']): boolean {
    if (when === 'before') this.calls += 1
    return this.#crash?.when === when && this.#crash.call === this.calls
  }

  fail(error: Error): void {
    this.failure ??= error
  }

  /** What throws ends the run. */
  checked<Value>(run: () => Value): Value | undefined {
    try {
      return run()
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
      return undefined
    }
  }

  runFor(ms: number): void {
    const untilMs = this.schedule.now + ms
    while (this.schedule.now < untilMs && this.failure === undefined) {
      this.checked(() => this.schedule.runUntil(Math.min(untilMs, this.schedule.now + 500)))
    }
  }

  cluster(): StoredObject | undefined {
    return this.server.get('RaftCluster', this.name)
  }

  createCluster(spec: Json): void {
    this.raft = new RaftCluster(this)
    this.oracle.reset()
    this.server.create({ apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', metadata: { name: this.name }, spec })
    this.log.add('user', `creates ${JSON.stringify(spec)}`)
  }

  edit(change: Json): void {
    const present = this.cluster()
    if (present === undefined) return
    this.log.add('user', `edits ${JSON.stringify(change)}`)
    const spec = { ...at(present, 'spec'), ...change }
    this.checked(() => this.server.replace({ ...present, metadata: { name: this.name }, spec }))
  }

  /** Somebody writes the RaftCluster and means nothing by it. */
  touch(): void {
    const present = this.cluster()
    if (present === undefined) return
    const annotations = { ...present.metadata.annotations, 'example.com/seen': String(this.nextId()) }
    this.server.replace({ ...present, metadata: { name: this.name, annotations } })
  }

  /** Undefined: the annotation goes. */
  annotate(name: string, value: string | undefined): void {
    const present = this.cluster()
    if (present === undefined) return
    this.log.add('user', `annotates ${name}: ${value ?? '-'}`)
    const { [`raftkv.dev/${name}`]: _, ...others } = present.metadata.annotations ?? {}
    const annotations = value === undefined ? others : { ...others, [`raftkv.dev/${name}`]: value }
    this.server.replace({ ...present, metadata: { name: this.name, annotations } })
  }

  wantedReplicas(): number {
    return numberAt(this.cluster(), 'spec', 'replicas')
  }

  #startOperator(name: string): void {
    const process = new OperatorProcess(this, name)
    this.operators.set(name, process)
    process.start()
  }

  #changed(before: StoredObject | undefined, after: StoredObject | undefined): void {
    const object = after ?? before
    if (object === undefined) return
    if (object.kind === 'Job') this.restores.onChange(before, after)
    if (object.kind === 'Pod' && isTool(object)) return
    if (object.kind === 'Pod') {
      if (before === undefined && after !== undefined) this.kubelet.onPod(after)
      if (after === undefined && before !== undefined) this.kubelet.onPodGone(before)
      const isDeleting =
        after?.metadata.deletionTimestamp !== undefined && before?.metadata.deletionTimestamp === undefined
      if (isDeleting) this.kubelet.onPodDeleting(after)
    }
    if (object.kind === 'RaftCluster' && stepOf(after) === 'AddLearner' && stepOf(before) !== 'AddLearner') {
      const strike = this.onNextAddition
      this.onNextAddition = undefined
      if (strike !== undefined) this.schedule.after(0, strike)
    }
    if (object.kind === 'RaftCluster' && before !== undefined && after !== undefined)
      this.#wasLetGo = !isHeld(after) && (this.#wasLetGo || isHeld(before))
    if (object.kind === 'PersistentVolumeClaim' && before === undefined && this.#wasLetGo)
      this.lateVolumes.add(object.metadata.uid)
    if (object.kind === 'PersistentVolumeClaim' && after === undefined) this.kubelet.disks.delete(object.metadata.uid)
    if (['Lease', 'Event', 'Secret'].includes(object.kind)) return
    // Status of a RaftCluster concerns no controller of Kubernetes.
    if (
      object.kind === 'RaftCluster' &&
      before !== undefined &&
      after !== undefined &&
      isEqual(before['spec'], after['spec'])
    )
      return
    this.controllers.ask()
  }

  #turn(): void {
    this.checked(() => {
      this.raft.turn()
      this.kubelet.syncReadiness()
      if (this.hasTls) this.tls.check()
    })
    this.schedule.after(RAFT_TURN_MS, () => this.#turn())
  }
}

function isHeld({ metadata }: StoredObject): boolean {
  return metadata.finalizers?.includes(FINALIZER) === true
}

function stepOf(cluster: StoredObject | undefined): string {
  return textAt(cluster, 'status', 'operation', 'step')
}
