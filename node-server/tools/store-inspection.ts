/**
 * A store read in full: what `snapshot status` prints and what `check` judges. The library that reads LMDB aborts its
 * process on a damaged page, so it reads in a process of its own: this program, run as `inspect-store`.
 */
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { ByteReader } from '../../lib/bytes.ts'
import { crc32c } from '../../lib/crc32c.ts'
import { MemberId, formatId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { TABLES, type Backend } from '../mvcc/backend.ts'
import { hasLease } from '../mvcc/lease.ts'
import { isRemovedMember, listMembers } from '../mvcc/members.ts'
import { readMeta } from '../mvcc/meta.ts'
import { readCurrent } from '../mvcc/read.ts'
import { Store } from '../mvcc/store.ts'
import { decodeConfiguration, decodeHistoryRow } from '../node/membership/configuration.ts'
import { checkRows, checkTables, malformed, rows } from './store-tables.ts'
import type { ToolIo } from './tool-io.ts'

const count = z.int().min(0)
const inspectionJson = z.object({
  /** CRC32C over the names of the tables and all that is in them. */
  hash: count,
  revision: count,
  compactedRevision: z.int(),
  appliedIndex: count,
  appliedTerm: count,
  configIndex: count,
  keys: count,
  revisions: count,
  members: z.array(
    z.object({ id: z.string(), name: z.string(), peerURLs: z.array(z.string()), isLearner: z.boolean() }),
  ),
  removedMembers: z.array(z.string()),
  voters: z.array(z.string()),
  learners: z.array(z.string()),
  /** What is damaged, in words. */
  problems: z.array(z.string()),
})
const answerJson = z.union([z.object({ store: inspectionJson }), z.object({ problem: z.string() })])

const PROCESS = join(import.meta.dirname, 'inspect-store-process.ts')

export type StoreInspection = z.infer<typeof inspectionJson>
/** What that process prints, as one line of JSON. */
export type InspectionAnswer = z.infer<typeof answerJson>

/**
 * Of a store, or of a file that begins with one as a stream. The error says why it cannot be read at all. Writes nothing
 * beside it, and nobody may have it open for writing.
 */
export async function inspectStore(io: ToolIo, path: string): Promise<Result<StoreInspection, string>> {
  const { code, signal, output } = await io.runScript(PROCESS, [resolve(path)])
  if (signal !== null) return err(`pages of ${path} are damaged: the library that reads it ended with ${signal}`)
  const parsed = code === 0 ? answerJson.safeParse(parseJson(output)) : undefined
  if (parsed?.success !== true) return err(`${path} could not be read: the process that read it ended with ${code}`)
  return 'store' in parsed.data ? ok(parsed.data.store) : err(parsed.data.problem)
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

function removedMembers(backend: Backend, store: Store): string[] {
  const ids = Array.from(rows(backend, 'members'), ({ key }) => MemberId(new ByteReader(key).u64()))
  return ids.filter((id) => isRemovedMember(store, id)).map(formatId)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
