/**
 * What this member has, as a cluster of one (etcd's --force-new-cluster): for the day when the others are lost for good.
 * Cluster ID and member ID stay. It goes on as a leader that was elected would: with all of its log, and in a term of its
 * own. Then the other members are removed by ordinary membership entries, which it commits on its own authority. They are
 * in the log before anything comes of them, so a start that is interrupted is finished by the next, with or without the
 * flag; and a removed member that comes back is refused as any removed member is.
 *
 * etcd drops what this member does not know to be committed. But of the last writes that were acknowledged it often does
 * not know it: the commit index is written with the next entry, so dropping would lose them.
 */
import { LogIndex, Term, formatId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { encodeCommand, type MembershipChange } from '../../mvcc/command.ts'
import { listMembers } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import type { Entry, HardState } from '../../raft/message.ts'
import type { Identity } from '../../storage/record.ts'
import type { Wal } from '../../storage/wal.ts'
import { Applier, type Outcome } from '../apply/applier.ts'
import { decodeConfiguration } from '../membership/configuration.ts'
import type { NodeOptions } from '../options.ts'
import { Waiters } from '../apply/waiters.ts'

export interface Recovered {
  readonly hardState: HardState
  /** Behind the base of the log, without a gap. */
  readonly entries: readonly Entry[]
}

export interface ForceParts {
  readonly identity: Identity
  readonly wal: Wal
  readonly store: Store
  /** With the commit index that recovery has found. */
  readonly recovered: Recovered
  readonly options: NodeOptions
}

/** The log as it is afterwards; all of it is applied to the store, durably. The error says why the data cannot be used so. */
export async function forceNewCluster(parts: ForceParts): Promise<Result<Recovered, string>> {
  const { identity, wal, store, options } = parts
  const { hardState, entries } = parts.recovered
  if (store.meta.configIndex === 0)
    return err(
      '--force-new-cluster: this member has not yet received any data from its cluster, so there is none to keep',
    )
  const applier = offlineApplier(parts)
  await applier.apply(entries.filter(({ index }) => index <= hardState.commit))
  await store.commit()
  // Stays in memory until the log says that it is committed.
  const tail = entries.filter(({ index }) => index > hardState.commit)
  await applier.apply(tail)
  if (decodeConfiguration(store.meta.configuration).votersOutgoing.length > 0)
    return err('--force-new-cluster: a change of several members at once was under way, which cannot be cut short')
  const term = Term(hardState.term + 1)
  const changes = changesToOne(store, identity)
  const added = changes.map((change, i) => configEntry(LogIndex(store.appliedIndex + 1 + i), term, change))
  const forced = { term, vote: identity.memberId, commit: LogIndex(store.appliedIndex + added.length) }
  await wal.append(forced, added, true)
  await applier.apply(added)
  await store.commit()
  const removed = changes.flatMap((change) => (change.kind === 'remove' ? [formatId(change.memberId)] : []))
  options.log.warn(
    { removed, committedIndex: hardState.commit, keptEntries: tail.length },
    `this member is a cluster of its own now (--force-new-cluster): the others are removed; ${describeTail(tail)}`,
  )
  return ok({ hardState: forced, entries: [...entries, ...added] })
}

/** Of what a member does not know whether it was acknowledged, and keeps. */
export function describeTail(tail: readonly Pick<Entry, 'index' | 'term'>[]): string {
  const [first, last] = [tail[0], tail.at(-1)]
  if (first === undefined || last === undefined) return 'all that its log has is known to be committed'
  const indexes = first.index === last.index ? `entry ${first.index}` : `entries ${first.index} to ${last.index}`
  const terms = first.term === last.term ? `term ${first.term}` : `terms ${first.term} to ${last.term}`
  return `kept without knowing whether that was committed: ${indexes} of ${terms}`
}

function configEntry(index: LogIndex, term: Term, change: MembershipChange): Entry {
  const command = {
    kind: 'membership',
    requestId: 0n,
    operationId: '',
    expectedConfigIndex: undefined,
    change,
  } as const
  return { index, term, kind: 'config', data: encodeCommand(command) }
}

/** This member must vote before the others may go. */
function changesToOne(store: Store, { memberId }: Identity): readonly MembershipChange[] {
  const members = listMembers(store)
  const others = members.filter(({ id }) => id !== memberId)
  const isLearner = members.some(({ id, isLearner }) => id === memberId && isLearner)
  return [
    ...(isLearner ? [{ kind: 'promote', memberId, maxLagEntries: 0 } as const] : []),
    ...others.map(({ id }) => ({ kind: 'remove', memberId: id }) as const),
  ]
}

/** Nobody waits for a result, and no Raft is there yet to hear of a configuration: it begins with the last one. */
function offlineApplier({ store, identity, options }: ForceParts): Applier {
  const onFatal = (error: unknown): never => {
    throw error
  }
  const waiters = new Waiters<Outcome>(0)
  return new Applier(
    { store, clusterId: identity.clusterId, waiters, options, onFatal },
    {
      onConfigChange: () => undefined,
      onMembersChanged: () => undefined,
      onTermBegan: () => undefined,
      onLease: () => undefined,
      onAuth: () => undefined,
    },
  )
}
