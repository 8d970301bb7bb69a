/**
 * The administration's part of the replicated state: members, first results of operations, configurations. Called by the
 * node while it applies an entry, before it calls `advanceApplied`; equal calls on every member.
 */
import { assert } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, MemberId } from '../../lib/ids.ts'
import type { Table } from './backend.ts'
import { MAX_OPERATION_ID_SIZE_BYTES, readAttributes, writeAttributes, type Member } from './command.ts'
import type { Store } from './store.ts'

/** Operation results kept: the newest by index. */
export const MAX_OPERATIONS = 1024
/** Configurations kept: the newest. */
export const MAX_CONFIG_HISTORY = 64

const PRESENT = 1
const GONE = 0
const FIRST_KEY = Buffer.of(0)
const NO_VALUE = Buffer.of(0)

function u64Key(value: bigint): Buffer {
  const key = Buffer.allocUnsafe(8)
  key.writeBigUInt64BE(value)
  return key
}

/** Adds the member, or replaces its attributes. An ID that was removed never comes back. */
export function putMember(store: Store, member: Member): void {
  assert(!isRemovedMember(store, member.id), () => `member ${member.id} was removed and cannot come back`)
  const value = writeAttributes(new ByteWriter(256).u8(PRESENT), member).finish()
  store.buffer.put('members', u64Key(member.id), value)
}

/** Forgets the member's attributes and remembers forever that it was removed. */
export function removeMember(store: Store, id: MemberId): void {
  store.buffer.put('members', u64Key(id), Buffer.of(GONE))
}

export function getMember(store: Store, id: MemberId): Member | undefined {
  const value = store.buffer.get('members', u64Key(id))
  return value === undefined ? undefined : decodeMember(id, value)
}

/** In order of their IDs. */
export function listMembers(store: Store): readonly Member[] {
  const members: Member[] = []
  for (const { key, value } of store.buffer.scan('members', FIRST_KEY, undefined)) {
    const member = decodeMember(MemberId(new ByteReader(key).u64()), value)
    if (member !== undefined) members.push(member)
  }
  return members
}

export function isRemovedMember(store: Store, id: MemberId): boolean {
  const value = store.buffer.get('members', u64Key(id))
  return value !== undefined && value[0] === GONE
}

function decodeMember(id: MemberId, value: Uint8Array): Member | undefined {
  const reader = new ByteReader(value)
  const status = reader.u8()
  if (status === GONE) return undefined
  if (status !== PRESENT) throw new MalformedBytes(`a member with status ${status}`)
  const member = readAttributes(reader, id)
  reader.end()
  return member
}

export interface RecordedOperation {
  /** Of the entry that carried it out first. */
  readonly index: LogIndex
  /** Opaque to the store. */
  readonly result: Uint8Array
}

/** The first result under this ID, as long as it is among the newest {@link MAX_OPERATIONS}. */
export function getOperation(store: Store, operationId: string): RecordedOperation | undefined {
  const value = store.buffer.get('operations', Buffer.from(operationId))
  if (value === undefined) return undefined
  const reader = new ByteReader(value)
  return { index: LogIndex(reader.u53()), result: reader.raw(reader.remainingBytes) }
}

/** Only once for each ID: ask {@link getOperation} first. Drops the oldest beyond the bound. */
export function recordOperation(store: Store, index: LogIndex, operationId: string, result: Uint8Array): void {
  const id = Buffer.from(operationId)
  assert(id.length > 0 && id.length <= MAX_OPERATION_ID_SIZE_BYTES, () => `an operation ID of ${id.length} bytes`)
  assert(getOperation(store, operationId) === undefined, () => `operation ${operationId} has a result already`)
  store.buffer.put('operations', id, new ByteWriter(64).u53(index).raw(result).finish())
  store.buffer.put('operationOrder', new ByteWriter(64).u53(index).raw(id).finish(), NO_VALUE)
  for (const key of keysBeyond(store, 'operationOrder', MAX_OPERATIONS)) {
    store.buffer.remove('operationOrder', key)
    store.buffer.remove('operations', key.subarray(8))
  }
}

/** The oldest keys of a table that are too many. */
function keysBeyond(store: Store, table: Table, bound: number): readonly Uint8Array[] {
  const excess = store.buffer.count(table, FIRST_KEY, undefined) - bound
  return excess <= 0
    ? []
    : Array.from(store.buffer.scan(table, FIRST_KEY, undefined, { limit: excess }), ({ key }) => key)
}

export interface ConfigurationChange {
  /** Raft index of the entry that made it. */
  readonly configIndex: LogIndex
  /** Opaque to the store. */
  readonly configuration: Uint8Array
  /** Row for the history, opaque to the store. */
  readonly historyRow: Uint8Array
}

/** Read back by `store.meta.configIndex` and `store.meta.configuration`. */
export function setConfiguration(store: Store, change: ConfigurationChange): void {
  const { configIndex, configuration, historyRow } = change
  store.update({ configIndex, configuration: Buffer.from(configuration) })
  store.buffer.put('configHistory', u64Key(BigInt(configIndex)), Buffer.from(historyRow))
  for (const key of keysBeyond(store, 'configHistory', MAX_CONFIG_HISTORY)) store.buffer.remove('configHistory', key)
}

/** The rows given to {@link setConfiguration}, oldest first, at most {@link MAX_CONFIG_HISTORY}. */
export function listConfigHistory(store: Store): readonly Uint8Array[] {
  return Array.from(store.buffer.scan('configHistory', FIRST_KEY, undefined), ({ value }) => value)
}
