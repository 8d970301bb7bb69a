/** One running member as the APIs see it: NodePort for etcd's, what only the leader decides for both. */
import { formatId, type ClusterId, type MemberId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { ApplyResult } from '../../mvcc/apply.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { PinnedStore } from '../../mvcc/backend.ts'
import type { AuthEffect } from '../../mvcc/results.ts'
import type { Store } from '../../mvcc/store.ts'
import type { LeaderRequests } from './leader-requests.ts'
import type { Replica } from '../replica/replica.ts'
import type {
  Caller,
  HashedKeyValues,
  HashProblem,
  LeaseTimeToLive,
  Member,
  MemberChange,
  NodePort,
  NodeProblem,
  NodeStatus,
  RequestKind,
} from '../ports.ts'

type MemberAnswer = Result<{ readonly member: Member | undefined; readonly members: readonly Member[] }, NodeProblem>

export class MemberPort implements NodePort {
  readonly #replica: Replica
  readonly #leaderRequests: LeaderRequests

  constructor(replica: Replica, leaderRequests: LeaderRequests) {
    this.#replica = replica
    this.#leaderRequests = leaderRequests
  }

  get clusterId(): ClusterId {
    return this.#replica.clusterId
  }

  get memberId(): MemberId {
    return this.#replica.memberId
  }

  get store(): Store {
    return this.#replica.store
  }

  get quotaBytes(): number {
    return this.#replica.options.quotaBytes
  }

  status(): NodeStatus {
    return this.#replica.status()
  }

  members(): readonly Member[] {
    return this.#replica.members()
  }

  onApplied(listener: () => void): () => void {
    return this.#replica.onApplied(listener)
  }

  propose(
    kind: RequestKind,
    request: Uint8Array,
    caller?: Caller,
    authInfo?: AuthInfo,
  ): Promise<Result<ApplyResult, NodeProblem>> {
    if (kind === 'auth' && this.store.auth.isUntouched) return this.#proposeFirst(request, caller)
    return this.#replica.propose(kind, request, caller, authInfo)
  }

  /** Once there is a user or a role, every member has applied one. */
  async #proposeFirst(request: Uint8Array, caller?: Caller): Promise<Result<ApplyResult, NodeProblem>> {
    if (!(await this.#leaderRequests.allKnowCommands())) return err('members-too-old')
    return this.#replica.propose('auth', request, caller)
  }

  onAuthChanged(listener: (effect: AuthEffect) => void): () => void {
    return this.#replica.onAuthChanged(listener)
  }

  linearizableBarrier(): Promise<Result<void, NodeProblem>> {
    return this.#replica.linearizableBarrier()
  }

  hashKeyValues(revision: number): Promise<Result<HashedKeyValues, HashProblem>> {
    return this.#replica.hasher.hashKeyValues(revision)
  }

  hashTables(): Promise<Result<number, HashProblem>> {
    return this.#replica.hasher.hashTables()
  }

  defragment(): Promise<void> {
    return this.#replica.files.defragment()
  }

  pinStore(): Promise<Result<PinnedStore, NodeProblem>> {
    return this.#replica.files.pin()
  }

  get minLeaseTtlSeconds(): number {
    return this.#replica.lessor.minTtlSeconds
  }

  newLeaseId(): bigint {
    return this.#replica.newLeaseId()
  }

  renewLease(id: bigint): Promise<Result<number | undefined, NodeProblem>> {
    return this.#leaderRequests.leases.renew(id)
  }

  leaseTimeToLive(id: bigint, withKeys: boolean): Promise<Result<LeaseTimeToLive | undefined, NodeProblem>> {
    return this.#leaderRequests.leases.timeToLive(id, withKeys)
  }

  leaseIds(): readonly bigint[] {
    return this.#leaderRequests.leases.ids()
  }

  async changeMember(change: MemberChange): Promise<MemberAnswer> {
    if (change.kind === 'update') return this.#update(change)
    const request =
      change.kind === 'add'
        ? { ...change, name: '' }
        : change.kind === 'promote'
          ? { kind: change.kind, memberId: formatId(change.memberId), maxLagEntries: undefined }
          : { kind: change.kind, memberId: formatId(change.memberId) }
    const result = await this.#leaderRequests.change({
      kind: 'change',
      operationId: '',
      expectedConfigIndex: undefined,
      change: request,
    })
    if (!result.ok) return err(result.error.problem)
    const seen = await this.#seesConfig(result.value.configIndex)
    if (seen.ok) return this.#answer(BigInt(`0x${result.value.memberId}`))
    if (change.kind !== 'remove' || change.memberId !== this.memberId) return seen
    // This member has already got the request itself.
    return ok({ member: undefined, members: this.members().filter(({ id }) => id !== this.memberId) })
  }

  async moveLeader(target: MemberId): Promise<Result<void, NodeProblem>> {
    const { leader } = this.#replica.status()
    if (leader !== this.memberId) return err('not-leader')
    const memberId = formatId(target)
    const result = await this.#leaderRequests.transferLeader({
      kind: 'transfer-leader',
      operationId: '',
      expectedConfigIndex: undefined,
      memberId,
    })
    return result.ok ? ok(undefined) : err(result.error.problem)
  }

  async #update(change: Extract<MemberChange, { kind: 'update' }>): Promise<MemberAnswer> {
    const known = this.members().find(({ id }) => id === change.memberId)
    if (known === undefined) return err('member-not-found')
    const isTaken = this.members().some(
      ({ id, peerURLs }) => id !== change.memberId && peerURLs.some((url) => change.peerURLs.includes(url)),
    )
    if (isTaken) return err('peer-urls-exist')
    const member = { ...known, name: '', clientURLs: [], peerURLs: change.peerURLs }
    const updated = await this.#replica.commands.updateAttributes(member)
    return updated.ok ? this.#answer(change.memberId) : updated
  }

  /** The leader has applied the change; the answer is read here, so wait until this member has too. */
  async #seesConfig(configIndex: number): Promise<Result<void, NodeProblem>> {
    return this.store.appliedIndex < configIndex ? this.#replica.linearizableBarrier() : ok(undefined)
  }

  #answer(id: bigint): MemberAnswer {
    const members = this.members()
    return ok({ member: members.find((member) => member.id === id), members })
  }
}
