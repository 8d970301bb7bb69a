/**
 * The one record that says which state the tables are in. It is part of every commit, so tables and record always agree.
 *
 *   version (1) = 1 ‖ applied index (8) ‖ applied term (8) ‖ revision (8) ‖ compacted + 1 (8) ‖ purged + 1 (8)
 *   ‖ config index (8) ‖ configuration (rest, opaque to the store)
 */
import { ByteReader, ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, Revision, Term } from '../../lib/ids.ts'

export interface Meta {
  /** Last entry whose effect the tables have; 0 in a new store. */
  readonly appliedIndex: LogIndex
  readonly appliedTerm: Term
  readonly revision: Revision
  /** Reads below it are refused; -1 before the first compaction, as in etcd. */
  readonly compactedRevision: number
  /** Up to which compacted revision the superseded versions are physically gone. */
  readonly purgedRevision: number
  /** Raft index of the configuration in force; 0 when there is none yet. */
  readonly configIndex: LogIndex
  readonly configuration: Uint8Array
}

export const NEW_STORE_META: Meta = {
  appliedIndex: LogIndex(0),
  appliedTerm: Term(0),
  revision: Revision(1),
  compactedRevision: -1,
  purgedRevision: -1,
  configIndex: LogIndex(0),
  configuration: Buffer.alloc(0),
}

const META_KEY = Buffer.from('state')
/** Only a program that knows this format may read the store. */
export const FORMAT_VERSION = 1

export function encodeMeta(meta: Meta): Buffer {
  return new ByteWriter(128)
    .u8(FORMAT_VERSION)
    .u53(meta.appliedIndex)
    .u53(meta.appliedTerm)
    .u53(meta.revision)
    .u53(meta.compactedRevision + 1)
    .u53(meta.purgedRevision + 1)
    .u53(meta.configIndex)
    .raw(meta.configuration)
    .finish()
}

export function decodeMeta(bytes: Uint8Array): Meta {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== FORMAT_VERSION)
    throw new MalformedBytes(`the store has format ${version}, this program knows ${FORMAT_VERSION}`)
  return {
    appliedIndex: LogIndex(reader.u53()),
    appliedTerm: Term(reader.u53()),
    revision: Revision(reader.u53()),
    compactedRevision: reader.u53() - 1,
    purgedRevision: reader.u53() - 1,
    configIndex: LogIndex(reader.u53()),
    configuration: Buffer.from(reader.raw(reader.remainingBytes)),
  }
}

/** What of a backend is needed here. */
interface MetaTable {
  get(table: 'meta', key: Uint8Array): Uint8Array | undefined
}

/** Of the last commit; that of a new store when there was none. Throws `MalformedBytes`. */
export function readMeta(backend: MetaTable): Meta {
  const bytes = backend.get('meta', META_KEY)
  return bytes === undefined ? NEW_STORE_META : decodeMeta(bytes)
}

export { META_KEY }
