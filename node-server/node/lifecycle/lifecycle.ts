/**
 * A member from its empty directory to its removal; its states and their order are in state.ts.
 *
 * The admin API is served in every state; the etcd API only while running, once the member may answer (admission.ts). Which
 * cluster a member belongs to is decided once and recorded in its data directory.
 */
import type {
  AdminError,
  AdminMember,
  AdminStatus,
  AdminUpkeep,
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  LeaderTransferResult,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../../../lib/admin-api.ts'
import { EMPTY_BYTES } from '../../../lib/bytes.ts'
import { ClusterId, MemberId, NOBODY, formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { markRemoved, memberPaths, type StoredIdentity } from '../../storage/data-directory.ts'
import type { Volume } from '../../storage/volume.ts'
import { LogLimiter } from '../../transport/log-limiter.ts'
import type { PeerTransport, TransportHandlers } from '../../transport/transport.ts'
import { PeriodicMaintenance } from '../maintenance/periodic.ts'
import { Upkeep } from '../maintenance/upkeep.ts'
import { handOver } from '../membership/hand-over.ts'
import type { NodeOptions } from '../options.ts'
import type { NodePort } from '../ports.ts'
import { Replica } from '../replica/replica.ts'
import type { AdminPort } from './admin-port.ts'
import {
  answerFromIdentity,
  badRequest,
  changeAnswer,
  changeOf,
  isAlone,
  ownMismatch,
  recoveryRefusal,
  seedId,
  toAdmin,
  type Change,
} from './admin-requests.ts'
import { adminStatus } from './admin-status.ts'
import { Admission } from './admission.ts'
import { LeaderRequests } from './leader-requests.ts'
import { MemberPort } from './member.ts'
import { markDamaged } from '../maintenance/snapshots.ts'
import type { StoreName } from '../maintenance/store-name.ts'
import { createDataDirectory, openDataDirectory, type StartPlan } from './open.ts'
import { become, type Running, type State } from './state.ts'

export interface LifecycleOptions {
  readonly volume: Volume
  readonly dataDirectory: string
  /** Of a member that is made; undefined: in the data directory. */
  readonly walDirectory?: string | undefined
  readonly peerURLs: readonly string[]
  /** Starts the transport to the other members. Rejects when an address cannot be listened on. */
  readonly connect: (self: StoredIdentity, handlers: TransportHandlers) => Promise<PeerTransport>
  readonly version: string
  readonly etcdVersion: string
  /** What it reports about its TLS; `known`: what the cluster knows of this member, once it does. */
  readonly tls?: (known: AdminMember | undefined) => AdminStatus['tls']
  readonly node: NodeOptions
  readonly onFatal: (error: unknown) => void
  /** The member runs and can report its status. Clients must not be served yet: it may know nothing. */
  readonly onRunning?: (member: NodePort) => void
  /** Serve clients; resolves when they are served. */
  readonly onAdmitted: (member: NodePort) => Promise<void>
  /** Stop serving clients, if any were served. */
  readonly onRemoved: () => void
  /** The same; the member stops for a moment and comes back with `onRunning`. */
  readonly onPaused?: () => Promise<void>
}

export class Lifecycle implements AdminPort {
  readonly #options: LifecycleOptions
  #state: State = { kind: 'waiting' }
  /** A bootstrap, a join or a recovery under way: a second one waits for it. */
  #starting: Promise<unknown> = Promise.resolve()
  /** The removal that is being recorded in the data directory. */
  #marking: Promise<void> = Promise.resolve()

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  get running(): Running | undefined {
    return 'running' in this.#state ? this.#state.running : undefined
  }

  /**
   * Recovers and runs what the data directory holds, `isNewClusterForced`: as a cluster of this member alone. The error is
   * for the user.
   */
  async run(identity: StoredIdentity, isNewClusterForced = false): Promise<Result<void, string>> {
    const { volume, dataDirectory, node: nodeOptions } = this.#options
    const onFatal = (error: unknown): void => {
      if (!(error instanceof StoreDamaged)) this.#options.onFatal(error) // told by the store itself
    }
    const opened = await openDataDirectory(volume, dataDirectory, identity, nodeOptions, isNewClusterForced)
    if (!opened.ok) return opened
    const replica: Replica = new Replica({
      ...opened.value,
      identity,
      options: nodeOptions,
      onFatal,
      onRemoved: () => this.#onRemoved(),
      onDamaged: (name) => void this.#once(() => this.#putStoreAside(replica, name)),
    })
    const { transport, leaderRequests } = await this.#connect(identity, replica)
    const maintenance = new PeriodicMaintenance(replica, (peer, revision) => leaderRequests.hashOf(peer, revision))
    const port = new MemberPort(replica, leaderRequests)
    const { damage } = opened.value
    const admission = new Admission(async (isLed) =>
      damage === undefined ? this.#admit(port, isLed) : replica.damage.isMended(),
    )
    const running = { replica, leaderRequests, transport, maintenance, upkeep: new Upkeep(replica), admission }
    this.#state = become(this.#state, { kind: 'running', identity, running })
    try {
      replica.start(transport)
    } catch (error) {
      if (error instanceof StoreDamaged) return ok(undefined) // it is put aside
      throw error
    }
    if (nodeOptions.maintenance.checksAtStart && damage === undefined) {
      const checked = await maintenance.checkAtStart()
      if (!checked.ok) return checked
    }
    maintenance.start(onFatal)
    this.#options.onRunning?.(port)
    // Clients are let in at once, to get the error.
    if (damage !== undefined) await this.#options.onAdmitted(port)
    // Not waited for: the caller of join wants to know that the member runs; catching up may take long.
    admission.begin(replica).catch(onFatal)
    return ok(undefined)
  }

  async #connect(
    identity: StoredIdentity,
    replica: Replica,
  ): Promise<{ readonly transport: PeerTransport; readonly leaderRequests: LeaderRequests }> {
    const warnings = new LogLimiter(this.#options.node.log, this.#options.node.clock)
    // The handlers are called once peers connect, by when this is there.
    const requests: { current: LeaderRequests | undefined } = { current: undefined }
    const transport = await this.#options.connect(identity, {
      onMessages: (messages) => replica.onMessages(messages),
      onSnapshot: (incoming) => replica.onSnapshot(incoming),
      onRequest: (from, payload) => answerOf(requests.current, from, payload),
      onUnreachable: (id) => replica.onUnreachable(id),
      onReachable: (id) => replica.onReachable(id),
      onRefused: (by, reason) => {
        const fields = { by: formatId(by), reason }
        // It asks again every second.
        warnings.warn(`${by} ${reason}`, fields, 'a peer refused this member')
        if (reason === 'removed') replica.becomeRemoved()
      },
      isRemoved: (id) => replica.isRemovedMember(id),
    })
    const leaderRequests = new LeaderRequests(replica, transport)
    requests.current = leaderRequests
    return { transport, leaderRequests }
  }

  /** Makes the data directory, durably, and runs it. */
  async start(plan: StartPlan): Promise<Result<void, string>> {
    const { volume, dataDirectory, walDirectory } = this.#options
    const identity = await createDataDirectory(volume, dataDirectory, plan, walDirectory)
    return this.run(identity)
  }

  bootstrap(request: BootstrapRequest): Promise<Change> {
    return this.#once(async () => {
      const { operationId } = request
      const clusterId = ClusterId(parseId(request.clusterId) ?? 0n)
      const { name, peerURLs } = request.member
      const memberId = seedId(clusterId, peerURLs)
      const refused = this.#refusedStart(request.member)
      if (refused !== undefined) return err(refused)
      if (this.#state.kind !== 'waiting')
        return answerFromIdentity(this.#state.identity, operationId, { clusterId, memberId }, 1)
      const member = { id: memberId, name, peerURLs, clientURLs: this.#options.node.clientURLs, isLearner: false }
      return this.#startAs({ kind: 'bootstrap', clusterId, memberId, name, members: [member], operationId }, 1)
    })
  }

  join(request: JoinRequest): Promise<Change> {
    return this.#once(async () => {
      const { operationId, expectedConfigIndex } = request
      const clusterId = ClusterId(parseId(request.clusterId) ?? 0n)
      const memberId = MemberId(parseId(request.memberId) ?? 0n)
      const own = request.members.find(({ id }) => id === request.memberId)
      const refused =
        own === undefined ? badRequest(`members does not name ${request.memberId}`) : this.#refusedStart(own)
      if (refused !== undefined) return err(refused)
      if (this.#state.kind !== 'waiting')
        return answerFromIdentity(this.#state.identity, operationId, { clusterId, memberId }, expectedConfigIndex)
      const members = request.members.map((member) => ({ ...member, id: MemberId(parseId(member.id) ?? 0n) }))
      const { name } = this.#options.node
      return this.#startAs({ kind: 'join', clusterId, memberId, name, members, operationId }, expectedConfigIndex)
    })
  }

  async changeMembership(request: MembershipRequest): Promise<Change> {
    const { running } = this
    if (running === undefined) return err(this.#notRunning())
    const { operationId, expectedConfigIndex } = request
    const change = changeOf(request)
    const asked = { kind: 'change', operationId, expectedConfigIndex, change } as const
    return this.#answer(async () => toAdmin(await running.leaderRequests.change(asked)))
  }

  async transferLeader(request: LeaderTransferRequest): Promise<Result<LeaderTransferResult, AdminError>> {
    const { running } = this
    if (running === undefined) return err(this.#notRunning())
    return this.#answer(async () =>
      toAdmin(await running.leaderRequests.transferLeader({ kind: 'transfer-leader', ...request })),
    )
  }

  recover(request: RecoverRequest): Promise<Change> {
    return this.#once(async () => {
      const { running } = this
      if (running === undefined) return err(this.#notRunning())
      const refusal = recoveryRefusal(request, this.status())
      if (refusal !== undefined) return err(refusal)
      if (!isAlone(this.status())) {
        const forced = await this.#runAlone(running)
        if (!forced.ok) return err({ code: 'Conflict', message: forced.error })
      }
      const { configIndex } = this.status()
      const { clusterId, memberId } = running.replica
      return ok(changeAnswer(request.operationId, clusterId, memberId, configIndex))
    })
  }

  async keepUp(request: UpkeepRequest): Promise<Result<AdminUpkeep, AdminError>> {
    const { running } = this
    if (running === undefined) return err(this.#notRunning())
    return this.#answer(() => running.upkeep.ask(request))
  }

  /** Restarts the member as a cluster of its own. If its data does not allow that, it runs on as before. */
  async #runAlone(running: Running): Promise<Result<void, string>> {
    const { identity } = running.replica
    const { onPaused, onFatal } = this.#options
    try {
      running.maintenance.stop()
      await running.admission.end()
      await onPaused?.()
      await this.#end(running, 'pausing')
      const forced = await this.run(identity, true)
      if (forced.ok) return forced
      const resumed = await this.run(identity)
      if (!resumed.ok) onFatal(new Error(resumed.error))
      return forced
    } catch (error) {
      onFatal(error)
      throw error
    }
  }

  /** The store is damaged: the member starts again without it, as it would after a crash, and asks the leader for another. */
  async #putStoreAside(replica: Replica, name: StoreName): Promise<void> {
    const { running } = this
    if (running?.replica !== replica) return // it has ended meanwhile
    const { identity } = replica
    const { volume, dataDirectory, onPaused, onFatal } = this.#options
    try {
      running.maintenance.stop()
      await running.admission.end()
      await onPaused?.()
      await handOver(replica)
      if (this.running !== running) return // it stops
      await this.#end(running, 'pausing')
      await markDamaged(volume.disk, memberPaths(dataDirectory), name)
      const resumed = await this.run(identity)
      if (!resumed.ok) onFatal(new Error(resumed.error))
    } catch (error) {
      onFatal(error)
    }
  }

  notReadyReason(): string | undefined {
    const state = this.#state
    if (state.kind === 'waiting') return 'waiting to be told to bootstrap or to join'
    if (state.identity.isRemoved) return 'this member was removed from its cluster'
    if ('lastStatus' in state) return state.kind === 'pausing' ? 'starting again' : 'stopping'
    const { replica, admission } = state.running
    const { leader, appliedIndex, damage, isLearner } = replica.status()
    if (damage !== undefined) return `its store is damaged (${damage}): waiting for another from the leader`
    if (appliedIndex === 0) return 'waiting for the first snapshot from the leader'
    if (leader === NOBODY) return 'no leader is known'
    if (!admission.isOpen) return 'catching up with what the cluster has committed'
    // It refuses most of what clients ask for.
    return isLearner ? 'a learner has no vote yet' : undefined
  }

  status(): AdminStatus {
    const { node, version, etcdVersion } = this.#options
    const state = this.#state
    if ('lastStatus' in state) return state.lastStatus
    const identity = state.kind === 'waiting' ? undefined : state.identity
    const status = adminStatus({ name: node.name, version, etcdVersion }, identity, this.running?.replica)
    const tls = this.#options.tls?.(status.members.find(({ id }) => id === status.memberId))
    const store = this.running?.upkeep.report()
    return { ...status, ...(tls !== undefined && { tls }), ...(store !== undefined && { store }) }
  }

  /** Hands over leadership if this member has it, finishes its work, and makes everything durable. */
  async stop(): Promise<void> {
    const { running } = this
    if (running === undefined) return
    running.maintenance.stop()
    await running.admission.end()
    await handOver(running.replica)
    await this.#end(running, 'stopped')
    await this.#marking
  }

  /** Its store cannot be read any more, and it must never look like a waiting member: its status is the last one. */
  async #end({ replica }: Running, kind: 'pausing' | 'stopped'): Promise<void> {
    const status = this.status()
    const role = status.role === 'leader' ? 'follower' : status.role
    const identity = this.#state.kind === 'waiting' ? replica.identity : this.#state.identity
    this.#state = become(this.#state, { kind, identity, lastStatus: { ...status, role, leader: '' } })
    await replica.stop()
  }

  #once<Value>(action: () => Promise<Value>): Promise<Value> {
    const done = this.#starting.then(action)
    this.#starting = done.catch(() => undefined)
    return done
  }

  async #startAs(plan: StartPlan, configIndex: number): Promise<Change> {
    const started = await this.start(plan).catch((error: unknown) => {
      this.#options.onFatal(error) // what the disk holds is unknown; the next start looks at it again
      return err('the data directory could not be made: this process ends, its log has the reason')
    })
    if (!started.ok) return err({ code: 'Internal', message: started.error })
    return ok(changeAnswer(plan.operationId, plan.clusterId, plan.memberId, configIndex))
  }

  #refusedStart(named: { readonly name: string; readonly peerURLs: readonly string[] }): AdminError | undefined {
    return ownMismatch({ name: this.#options.node.name, peerURLs: this.#options.peerURLs }, named)
  }

  async #answer<Value>(ask: () => Promise<Result<Value, AdminError>>): Promise<Result<Value, AdminError>> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof StoreDamaged) return err(this.#notRunning())
      throw error
    }
  }

  #notRunning(): AdminError {
    return { code: 'NoLeader', message: this.notReadyReason() ?? 'this member does not run' }
  }

  async #admit(port: NodePort, isLed: boolean): Promise<void> {
    const { node, onAdmitted } = this.#options
    if (!isLed) node.log.warn({}, 'no leader answers: serving what this member had when it stopped')
    await onAdmitted(port)
  }

  #onRemoved(): void {
    const state = this.#state
    if (state.kind === 'waiting') return
    const { volume, dataDirectory, onFatal, onRemoved } = this.#options
    const { identity } = state
    const removed = { ...identity, isRemoved: true }
    this.#state =
      'running' in state
        ? become(state, { kind: 'removed', identity: removed, running: state.running })
        : { ...state, identity: removed }
    const ended = this.running?.admission.end()
    const marked = markRemoved(volume.disk, dataDirectory, identity)
    this.#marking = Promise.all([marked, ended]).then(onRemoved, onFatal)
  }
}

/** None, as far as the other side can read it, while there is nobody to ask or the store is damaged. */
async function answerOf(requests: LeaderRequests | undefined, from: MemberId, payload: Buffer): Promise<Uint8Array> {
  try {
    return (await requests?.onRequest(from, payload)) ?? EMPTY_BYTES
  } catch (error) {
    if (error instanceof StoreDamaged) return EMPTY_BYTES
    throw error
  }
}
