/** What GET /admin/v1/status answers, in every state of a member's life. */
import type { AdminAlarm, AdminStatus, MemberRole } from '../../../lib/admin-api.ts'
import { NOBODY, formatId } from '../../../lib/ids.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { listConfigHistory } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import type { RaftStatus } from '../../raft/raft.ts'
import type { StoredIdentity } from '../../storage/data-directory.ts'
import { decodeHistoryRow } from '../membership/configuration.ts'
import type { Replica } from '../replica/replica.ts'

type Base = Pick<AdminStatus, 'name' | 'version' | 'etcdVersion'>

export function adminStatus(
  base: Base,
  identity: StoredIdentity | undefined,
  replica: Replica | undefined,
): AdminStatus {
  const ids = {
    clusterId: identity === undefined ? '' : formatId(identity.clusterId),
    memberId: identity === undefined ? '' : formatId(identity.memberId),
  }
  if (replica === undefined) {
    return { ...NOTHING_YET, ...base, ...ids, role: identity?.isRemoved === true ? 'removed' : 'waiting' }
  }
  const raft = replica.raftStatus()
  const { store } = replica
  return {
    ...base,
    ...ids,
    ...raftPart(raft, replica),
    role: roleOf(replica, raft),
    appliedIndex: store.appliedIndex,
    members: unlessDamaged(() => replica.members().map((member) => ({ ...member, id: formatId(member.id) }))),
    configHistory: unlessDamaged(() => listConfigHistory(store).map(decodeHistoryRow)),
    dbSizeBytes: store.size().totalBytes,
    revision: store.revision,
    alarms: alarmsOf(store),
  }
}

/** A member whose store is damaged still says what it is. */
function unlessDamaged<Row>(read: () => readonly Row[]): readonly Row[] {
  try {
    return read()
  } catch (error) {
    if (error instanceof StoreDamaged) return []
    throw error
  }
}

function alarmsOf({ alarms }: Store): readonly AdminAlarm[] {
  const of = (ids: ReadonlySet<bigint>, type: AdminAlarm['type']): AdminAlarm[] =>
    [...ids].map((id) => ({ memberId: formatId(id), type }))
  return [...of(alarms.noSpace, 'NOSPACE'), ...of(alarms.corrupt, 'CORRUPT')]
}

function raftPart(
  raft: RaftStatus,
  replica: Replica,
): Omit<typeof NOTHING_YET, 'appliedIndex' | 'members' | 'configHistory' | 'dbSizeBytes' | 'revision' | 'alarms'> {
  const { voters, votersOutgoing, learners } = raft.configuration
  return {
    term: raft.term,
    leader: raft.leader === NOBODY ? '' : formatId(raft.leader),
    commitIndex: raft.committed,
    lastIndex: raft.lastIndex,
    lastTerm: raft.lastTerm,
    configIndex: raft.configIndex,
    voters: voters.map(formatId),
    votersOutgoing: votersOutgoing.map(formatId),
    learners: learners.map(formatId),
    isChangePending: raft.isChangePending,
    peers: raft.peers.map(({ id, match, state, isActive }) => {
      const snapshot = replica.snapshotTo(id)
      return {
        id: formatId(id),
        matchIndex: match,
        lag: raft.lastIndex - match,
        state,
        ...(snapshot !== undefined && { snapshot }),
        isActive,
      }
    }),
  }
}

function roleOf(replica: Replica, raft: RaftStatus): MemberRole {
  if (replica.isRemoved) return 'removed'
  return raft.role === 'follower' && raft.configuration.learners.includes(replica.memberId) ? 'learner' : raft.role
}

const NOTHING_YET: Omit<AdminStatus, keyof Base | 'clusterId' | 'memberId' | 'role'> = {
  term: 0,
  leader: '',
  commitIndex: 0,
  appliedIndex: 0,
  lastIndex: 0,
  lastTerm: 0,
  configIndex: 0,
  voters: [],
  votersOutgoing: [],
  learners: [],
  members: [],
  isChangePending: false,
  peers: [],
  configHistory: [],
  dbSizeBytes: 0,
  revision: 0,
  alarms: [],
}
