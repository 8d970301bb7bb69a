/**
 * A member from its empty directory to its removal:
 *
 *   waiting ──bootstrap | join──► running ──removed by the cluster──► removed
 *
 * The admin API is there in every state; the etcd API only while running, once the member may answer (admission.ts). Which
 * cluster a member belongs to is decided once and stands in its data directory.
 */
import { createHash } from 'node:crypto'
import type {
  AdminChange,
  AdminError,
  AdminStatus,
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  LeaderTransferResult,
  MembershipRequest,
  RecoverRequest,
} from '../../../lib/admin-api.ts'
import { unreachable } from '../../../lib/assert.ts'
import { ClusterId, MemberId, NOBODY, formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { markRemoved, type StoredIdentity } from '../../storage/data-directory.ts'
import type { Volume } from '../../storage/volume.ts'
import type { PeerTransport, TransportHandlers } from '../../transport/transport.ts'
import type { AdminPort } from './admin-port.ts'
import { adminStatus } from './admin-status.ts'
import { Admission } from './admission.ts'
import { handOver } from '../membership/hand-over.ts'
import { LeaderDuties } from './leader-duties.ts'
import { MemberPort } from './member.ts'
import { Node } from '../replica/node.ts'
import { createDataDirectory, openDataDirectory, type StartPlan } from './open.ts'
import type { NodeOptions } from '../options.ts'
import type { PeerRequest, WireRefusal } from '../peer-requests.ts'
import type { NodePort } from '../ports.ts'
import { Upkeep } from '../maintenance/upkeep.ts'

export interface LifecycleOptions {
  readonly volume: Volume
  readonly dataDirectory: string
  /** Of a member that is made; undefined: in the data directory. */
  readonly walDirectory?: string | undefined
  readonly peerURLs: readonly string[]
  /** Opens the way to the other members. Rejects when an address cannot be listened on. */
  readonly connect: (self: StoredIdentity, handlers: TransportHandlers) => Promise<PeerTransport>
  readonly version: string
  readonly etcdVersion: string
  readonly node: NodeOptions
  readonly onFatal: (error: unknown) => void
  /** The member runs and can be asked how it is. Clients must not be served yet: it may know nothing. */
  readonly onRunning?: (member: NodePort) => void
  /** Serve clients; resolves when they are served. */
  readonly onAdmitted: (member: NodePort) => Promise<void>
  /** Serve no clients any more, if any were. */
  readonly onRemoved: () => void
  /** The same; the member stops for a moment and comes back with `onRunning`. */
  readonly onPaused?: () => Promise<void>
}

export interface Running {
  readonly node: Node
  readonly duties: LeaderDuties
  readonly transport: PeerTransport
  readonly upkeep: Upkeep
  readonly admission: Admission
}

type Change = Result<AdminChange, AdminError>

export class Lifecycle implements AdminPort {
  readonly #options: LifecycleOptions
  #identity: StoredIdentity | undefined
  #running: Running | undefined
  /** A bootstrap or join under way: a second one waits for it. */
  #starting: Promise<unknown> = Promise.resolve()
  /** What to say once it ends, since its store can no longer be asked: it must never be seen waiting. */
  #lastWords: { readonly status: AdminStatus; readonly reason: string } | undefined
  /** The removal on its way to the data directory. */
  #marking: Promise<void> = Promise.resolve()

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  get running(): Running | undefined {
    return this.#running
  }

  /**
   * Recovers and runs what the data directory holds, `isNewClusterForced`: as a cluster of this member alone. The error is
   * for the user.
   */
  async run(identity: StoredIdentity, isNewClusterForced = false): Promise<Result<void, string>> {
    const { volume, dataDirectory, node: nodeOptions, onFatal } = this.#options
    const opened = await openDataDirectory(volume, dataDirectory, identity, nodeOptions, isNewClusterForced)
    if (!opened.ok) return opened
    const node = new Node({
      ...opened.value,
      identity,
      options: nodeOptions,
      onFatal,
      onRemoved: () => this.#onRemoved(),
    })
    // The handlers are called once peers connect, by when `duties` is there.
    const duties: { current: LeaderDuties | undefined } = { current: undefined }
    const transport = await this.#options.connect(identity, {
      onMessages: (messages) => node.onMessages(messages),
      onSnapshot: (incoming) => node.onSnapshot(incoming),
      onRequest: async (from, payload) => (await duties.current?.onRequest(from, payload)) ?? Buffer.alloc(0),
      onUnreachable: (id) => node.onUnreachable(id),
      onRefused: (by, reason) => {
        nodeOptions.log.warn({ by: formatId(by), reason }, 'a peer refused this member')
        if (reason === 'removed') node.becomeRemoved()
      },
      isRemoved: (id) => node.isRemovedMember(id),
    })
    const leaderDuties = new LeaderDuties(node, transport)
    duties.current = leaderDuties
    const upkeep = new Upkeep(node, (peer, revision) => leaderDuties.hashOf(peer, revision))
    const port = new MemberPort(node, leaderDuties)
    const admission = new Admission((isLed) => this.#admit(port, isLed))
    this.#identity = identity
    this.#running = { node, duties: leaderDuties, transport, upkeep, admission }
    node.start(transport)
    if (nodeOptions.maintenance.checksAtStart) {
      const checked = await upkeep.checkAtStart()
      if (!checked.ok) return checked
    }
    upkeep.start(onFatal)
    this.#options.onRunning?.(port)
    // Not waited for: whoever told this member to join wants to hear that it runs; to catch up may take long.
    admission.begin(node).catch(onFatal)
    return ok(undefined)
  }

  /** Makes the data directory, durably, and runs it. */
  async start(plan: StartPlan): Promise<Result<void, string>> {
    const { volume, dataDirectory, walDirectory } = this.#options
    const identity = await createDataDirectory(volume, dataDirectory, plan, walDirectory)
    return this.run(identity)
  }

  bootstrap(request: BootstrapRequest): Promise<Change> {
    return this.#once(async () => {
      const clusterId = ClusterId(parseId(request.clusterId) ?? 0n)
      const memberId = seedId(clusterId, request.member.peerURLs)
      const mismatch = this.#ownMismatch(request.member)
      if (mismatch !== undefined) return err(mismatch)
      const known = this.#asChange(request.operationId, clusterId, memberId, 1)
      if (known !== undefined) return known
      const member = {
        id: memberId,
        name: request.member.name,
        peerURLs: request.member.peerURLs,
        clientURLs: this.#options.node.clientURLs,
        isLearner: false,
      }
      const plan: StartPlan = {
        kind: 'bootstrap',
        clusterId,
        memberId,
        name: member.name,
        members: [member],
        operationId: request.operationId,
      }
      return this.#startAs(plan, 1)
    })
  }

  join(request: JoinRequest): Promise<Change> {
    return this.#once(async () => {
      const clusterId = ClusterId(parseId(request.clusterId) ?? 0n)
      const memberId = MemberId(parseId(request.memberId) ?? 0n)
      const own = request.members.find(({ id }) => id === request.memberId)
      const mismatch =
        own === undefined ? badRequest(`members does not name ${request.memberId}`) : this.#ownMismatch(own)
      if (mismatch !== undefined) return err(mismatch)
      const known = this.#asChange(request.operationId, clusterId, memberId, request.expectedConfigIndex)
      if (known !== undefined) return known
      const members = request.members.map((member) => ({ ...member, id: MemberId(parseId(member.id) ?? 0n) }))
      const { name } = this.#options.node
      const plan: StartPlan = { kind: 'join', clusterId, memberId, name, members, operationId: request.operationId }
      return this.#startAs(plan, request.expectedConfigIndex)
    })
  }

  async changeMembership(request: MembershipRequest): Promise<Change> {
    const running = this.#running
    if (running === undefined) return err(this.#notRunning())
    const { operationId, expectedConfigIndex } = request
    const change = changeOf(request)
    return toAdmin(await running.duties.change({ kind: 'change', operationId, expectedConfigIndex, change }))
  }

  async transferLeader(request: LeaderTransferRequest): Promise<Result<LeaderTransferResult, AdminError>> {
    const running = this.#running
    if (running === undefined) return err(this.#notRunning())
    return toAdmin(await running.duties.transferLeader({ kind: 'transfer-leader', ...request }))
  }

  recover(request: RecoverRequest): Promise<Change> {
    return this.#once(async () => {
      const running = this.#running
      if (running === undefined) return err(this.#notRunning())
      const refusal = recoveryRefusal(request, this.status())
      if (refusal !== undefined) return err(refusal)
      if (!isAlone(this.status())) {
        const forced = await this.#runAlone(running)
        if (!forced.ok) return err({ code: 'Conflict', message: forced.error })
      }
      const { configIndex } = this.status()
      const { clusterId, memberId } = running.node
      return ok(changeAnswer(request.operationId, clusterId, memberId, configIndex))
    })
  }

  /** What was refused for the data's sake goes on as it was. */
  async #runAlone(running: Running): Promise<Result<void, string>> {
    const { identity } = running.node
    const { onPaused, onFatal } = this.#options
    try {
      running.upkeep.stop()
      await running.admission.end()
      await onPaused?.()
      await this.#end(running, 'being made a cluster of its own')
      const forced = await this.run(identity, true)
      if (forced.ok) return forced
      const resumed = await this.run(identity)
      if (!resumed.ok) onFatal(new Error(resumed.error))
      return forced
    } catch (error) {
      onFatal(error)
      throw error
    } finally {
      this.#lastWords = undefined
    }
  }

  notReadyReason(): string | undefined {
    if (this.#identity?.isRemoved === true) return 'this member was removed from its cluster'
    if (this.#running === undefined && this.#lastWords !== undefined) return this.#lastWords.reason
    if (this.#running === undefined) return 'waiting to be told to bootstrap or to join'
    const { node, admission } = this.#running
    const { leader, appliedIndex } = node.status()
    if (appliedIndex === 0) return 'waiting for the first snapshot from the leader'
    if (leader === NOBODY) return 'no leader is known'
    return admission.isOpen ? undefined : 'catching up with what the cluster has committed'
  }

  status(): AdminStatus {
    const { node, version, etcdVersion } = this.#options
    if (this.#running === undefined && this.#lastWords !== undefined) return this.#lastWords.status
    return adminStatus({ name: node.name, version, etcdVersion }, this.#identity, this.#running?.node)
  }

  /** Hands leadership on if this member has it, finishes, and makes all of it durable. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.upkeep.stop()
    await running.admission.end()
    await handOver(running.node)
    await this.#end(running, 'stopping')
    await this.#marking
  }

  async #end({ node }: Running, reason: string): Promise<void> {
    const status = this.status()
    const role = status.role === 'leader' ? 'follower' : status.role
    this.#lastWords = { status: { ...status, role, leader: '' }, reason }
    this.#running = undefined
    await node.stop()
  }

  #once<Value>(action: () => Promise<Value>): Promise<Value> {
    const done = this.#starting.then(action)
    this.#starting = done.catch(() => undefined)
    return done
  }

  async #startAs(plan: StartPlan, configIndex: number): Promise<Change> {
    const started = await this.start(plan).catch((error: unknown) => {
      this.#options.onFatal(error) // what the disk holds is unknown; the next start looks at it anew
      return err('the data directory could not be made: this process ends, its log has the reason')
    })
    if (!started.ok) return err({ code: 'Internal', message: started.error })
    return ok(changeAnswer(plan.operationId, plan.clusterId, plan.memberId, configIndex))
  }

  /** The answer when this member belongs to a cluster already: a repeat succeeds, anything else is refused. */
  #asChange(operationId: string, clusterId: ClusterId, memberId: MemberId, configIndex: number): Change | undefined {
    const identity = this.#identity
    if (identity === undefined) return undefined
    if (identity.clusterId === clusterId && identity.memberId === memberId)
      return ok(changeAnswer(operationId, clusterId, memberId, configIndex))
    const own = `member ${formatId(identity.memberId)} of cluster ${formatId(identity.clusterId)}`
    return err({
      code: 'Conflict',
      message: `this data directory is that of ${own}: to use the volume for another, empty it first`,
    })
  }

  /** Two members with one name, or a request that was meant for another member. */
  #ownMismatch(member: { readonly name: string; readonly peerURLs: readonly string[] }): AdminError | undefined {
    const { node, peerURLs } = this.#options
    if (member.name !== '' && member.name !== node.name)
      return badRequest(`this member is ${node.name}, not ${member.name}`)
    const isOwn = member.peerURLs.every((url) => peerURLs.includes(url))
    return isOwn
      ? undefined
      : badRequest(`this member's peer URLs are ${peerURLs.join(', ')}, not ${member.peerURLs.join(', ')}`)
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
    const identity = this.#identity
    const { volume, dataDirectory, onFatal, onRemoved } = this.#options
    if (identity === undefined) return
    this.#identity = { ...identity, isRemoved: true }
    const ended = this.#running?.admission.end()
    const marked = markRemoved(volume.disk, dataDirectory, identity)
    this.#marking = Promise.all([marked, ended]).then(onRemoved, onFatal)
  }
}

/** Undefined when the request is about this member as it is now. */
function recoveryRefusal(request: RecoverRequest, status: AdminStatus): AdminError | undefined {
  if (request.clusterId !== status.clusterId || request.memberId !== status.memberId)
    return { code: 'Conflict', message: `this is member ${status.memberId} of cluster ${status.clusterId}` }
  if (isAlone(status)) return undefined
  const { configIndex, leader } = status
  if (request.expectedConfigIndex !== configIndex)
    return { code: 'ConfigIndexStale', message: `the configuration in force is ${configIndex}`, configIndex }
  return leader === ''
    ? undefined
    : { code: 'Conflict', message: `member ${leader} leads: the cluster has its quorum, there is nothing to recover` }
}

function isAlone({ memberId, voters, learners }: AdminStatus): boolean {
  return voters.length === 1 && voters[0] === memberId && learners.length === 0
}

function changeOf(request: MembershipRequest): Extract<PeerRequest, { kind: 'change' }>['change'] {
  switch (request.kind) {
    case 'add-learner':
      return { kind: 'add', name: request.member.name, peerURLs: request.member.peerURLs, isLearner: true }
    case 'promote':
      return {
        kind: 'promote',
        memberId: request.memberId,
        maxLagEntries: request.maxLagEntries ?? DEFAULT_MAX_LAG_ENTRIES,
      }
    case 'remove':
      return { kind: 'remove', memberId: request.memberId }
    default:
      return unreachable(request)
  }
}

const DEFAULT_MAX_LAG_ENTRIES = 100

function toAdmin<Value>(result: Result<Value, WireRefusal>): Result<Value, AdminError> {
  return result.ok ? result : err(result.error.error)
}

function changeAnswer(operationId: string, clusterId: ClusterId, memberId: MemberId, configIndex: number): AdminChange {
  return { operationId, clusterId: formatId(clusterId), memberId: formatId(memberId), configIndex }
}

/** Known before the member exists, so that a repeat of the request names the same member. */
function seedId(clusterId: ClusterId, peerURLs: readonly string[]): MemberId {
  const hash = createHash('sha1')
    .update([...peerURLs].toSorted().join(''))
    .update(formatId(clusterId))
  return MemberId(hash.digest().readBigUInt64BE(0))
}

function badRequest(message: string): AdminError {
  return { code: 'BadRequest', message }
}
