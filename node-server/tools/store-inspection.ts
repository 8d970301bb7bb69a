/** A store read in full: what `snapshot status` prints and what `check` judges. */
import { ByteReader } from '../../lib/bytes.ts'
import { crc32c } from '../../lib/crc32c.ts'
import { MemberId, formatId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { StoreDamaged, TABLES, type Backend } from '../mvcc/backend.ts'
import { hasLease } from '../mvcc/lease.ts'
import { isRemovedMember, listMembers } from '../mvcc/members.ts'
import { readMeta } from '../mvcc/meta.ts'
import { readCurrent } from '../mvcc/read.ts'
import { Store } from '../mvcc/store.ts'
import { decodeConfiguration, decodeHistoryRow } from '../node/membership/configuration.ts'
import { realVolume } from '../storage/volume.ts'
import { checkRows, checkTables, malformed, rows } from './store-tables.ts'

export interface StoreInspection {
  /** CRC32C over the names of the tables and all that is in them. */
  readonly hash: number
  readonly revision: number
  readonly compactedRevision: number
  readonly appliedIndex: number
  readonly appliedTerm: number
  readonly configIndex: number
  readonly keys: number
  readonly revisions: number
  readonly members: readonly InspectedMember[]
  readonly removedMembers: readonly string[]
  readonly voters: readonly string[]
  readonly learners: readonly string[]
  /** What is damaged, in words. */
  readonly problems: readonly string[]
}

interface InspectedMember {
  readonly id: string
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly isLearner: boolean
}

/** Why a store cannot be read at all. */
export interface NotInspected {
  readonly problem: string
  /** A start asks the leader for another one. */
  readonly isDamaged: boolean
}

/**
 * Of a store, or of a file that begins with one as a stream. Writes nothing beside it, and nobody may have it open for
 * writing.
 */
export async function inspectStore(path: string): Promise<Result<StoreInspection, NotInspected>> {
  try {
    return ok(await realVolume.stores.read(path, inspect))
  } catch (error) {
    const problem = `${path} is not a store that can be read: ${String(error)}`
    return err({ problem, isDamaged: error instanceof StoreDamaged })
  }
}

export function inspect(backend: Backend): StoreInspection {
  const meta = readMeta(backend)
  const tables = checkTables(backend, meta)
  const store = new Store(backend)
  const configuration = decodeConfiguration(meta.configuration)
  const problems = [...tables.problems, ...administrationProblems(backend, store)]
  const members = problems.length > 0 ? [] : listMembers(store)
  return {
    hash: hashOf(backend),
    revision: meta.revision,
    compactedRevision: meta.compactedRevision,
    appliedIndex: meta.appliedIndex,
    appliedTerm: meta.appliedTerm,
    configIndex: meta.configIndex,
    keys: tables.counts.keys,
    revisions: tables.counts.revisions,
    members: members.map(({ id, name, peerURLs, isLearner }) => {
      return { id: formatId(id), name, peerURLs: [...peerURLs], isLearner }
    }),
    removedMembers: removedMembers(backend, store),
    voters: configuration.voters.map(formatId),
    learners: configuration.learners.map(formatId),
    problems,
  }
}

function hashOf(backend: Backend): number {
  let hash = 0
  for (const table of TABLES.toSorted()) {
    hash = crc32c(Buffer.from(table), hash)
    for (const { key, value } of rows(backend, table)) hash = crc32c(value, crc32c(key, hash))
  }
  return hash
}

function administrationProblems(backend: Backend, store: Store): readonly string[] {
  const problems = [
    ...checkRows(backend, 'configHistory', ({ value }) => void decodeHistoryRow(value)),
    ...checkRows(backend, 'members', ({ key }) => void new ByteReader(key).u64()),
    ...checkRows(backend, 'operationOrder', ({ key }) => {
      if (backend.get('operations', key.subarray(8)) === undefined) malformed('its operation is not there')
    }),
  ]
  problems.push(
    ...checkRows(backend, 'leaseKeys', ({ key }) => {
      const id = Buffer.from(key).readBigInt64BE()
      if (!hasLease(store, id)) malformed('its lease is not there')
      if (readCurrent(store, key.subarray(8))?.lease !== id) malformed('the key does not name that lease')
    }),
  )
  const { configuration, configIndex } = store.meta
  if (configIndex === 0) return problems
  const { voters, learners } = decodeConfiguration(configuration)
  const known = new Set(listMembers(store).map(({ id }) => id))
  for (const id of [...voters, ...learners]) {
    if (!known.has(id)) problems.push(`member ${formatId(id)} is in the configuration and not in the table of members`)
  }
  return problems
}

function removedMembers(backend: Backend, store: Store): readonly string[] {
  const ids = Array.from(rows(backend, 'members'), ({ key }) => MemberId(new ByteReader(key).u64()))
  return ids.filter((id) => isRemovedMember(store, id)).map(formatId)
}
